/* A stand-in for libcuda.so.1: holds memory of a fake card by writing a file.
 *
 * FAKE_CUDA names a folder. A process with a context has a file `<card>-<pid>` there with the bytes
 * that it holds; an orderly end removes it, and a killed process leaves it: the fake NVML library
 * counts files of processes that live. CUDA_VISIBLE_DEVICES is `GPU-fake-<card>`.
 * Return codes are those of the public cuda.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long u64;
enum { MOST = 64 };
static u64 sizes[MOST], total = 80ull << 30, context = 500ull << 20;
static char path[512];
static int made;

static int fake_card(void) {
    const char *name = getenv("CUDA_VISIBLE_DEVICES");
    return name && !strncmp(name, "GPU-fake-", 9) ? atoi(name + 9) : 0;
}

static u64 held(void) {
    u64 sum = context;
    for (int i = 0; i < MOST; i++) sum += sizes[i];
    return sum;
}

static void tell(void) {
    char fresh[540];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    if (!file) return;
    fprintf(file, "%llu\n", held());
    fclose(file);
    rename(fresh, path);
}

static void gone(void) { if (made) unlink(path); }

int cuInit(unsigned flags) { (void)flags; return getenv("FAKE_CUDA") ? 0 : 100; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDevicePrimaryCtxRetain(void **out, int device) {
    (void)device;
    snprintf(path, sizeof path, "%s/%d-%d", getenv("FAKE_CUDA"), fake_card(), (int)getpid());
    if (!made) atexit(gone);
    made = 1;
    tell();
    *out = &made;
    return 0;
}
int cuCtxSetCurrent(void *given) { (void)given; return 0; }
int cuMemAlloc_v2(u64 *address, size_t size) {
    if (held() + size > total) return 2; /* out of memory */
    for (int i = 0; i < MOST; i++)
        if (!sizes[i]) {
            sizes[i] = size;
            *address = (u64)i + 1;
            tell();
            return 0;
        }
    return 2;
}
int cuMemFree_v2(u64 address) {
    if (!address || address > MOST || !sizes[address - 1]) return 1; /* invalid value */
    sizes[address - 1] = 0;
    tell();
    return 0;
}
