/* A stand-in for libnvidia-ml.so.1: answers from a text file that a test rewrites while it runs.
 *
 * FAKE_NVML names the file; it is read again at every call. Lines (N is a card's index):
 *   count N                 cards that the driver lists
 *   order A B C             which card is at which index (default 0 1 2 …)
 *   init CODE               nvmlInit returns CODE
 *   code N CODE             every call on card N returns CODE
 *   fail N NAME CODE        one reading of card N returns CODE
 *   set N NAME VALUE        one reading of card N
 *   hang N                  every call on card N never returns; `hang init` for nvmlInit
 *   slow N MS               every call on card N takes so many milliseconds; `slow init` nvmlInit
 *   write N PATH            every call on card N writes to a file first: where its disk is frozen,
 *                           the kernel holds the caller, and no signal ends it
 *   event N XID             one XID event, given once for each such line, in order; those that
 *                           are there when somebody begins to listen are past
 *   links N COUNT           NVLinks of card N; `set N link_down L` takes one down (default none)
 *   instances N COUNT       MIG devices of card N (and `set N mig 1`); each is card 100(N+1)+index
 *   holders FOLDER          processes with memory: a file `<card>-<pid>` each, with its bytes
 * Struct layouts and return codes are those of the public nvml.h.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long u64;
typedef struct card { int id; } card;
static card cards[16] = {{0},{1},{2},{3},{4},{5},{6},{7},{8},{9},{10},{11},{12},{13},{14},{15}};
static int events_given;

static FILE *script(void) { return fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "", "r"); }

static int find(const char *format, int n, const char *name, double *value) {
    char line[256], wanted[128];
    int found = 0;
    FILE *file = script();
    if (!file) return 0;
    snprintf(wanted, sizeof wanted, format, n, name);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, wanted, strlen(wanted))) {
            *value = atof(line + strlen(wanted));
            found = 1;
        }
    fclose(file);
    return found;
}

static void hang_if(const char *what) {
    char line[256];
    FILE *file = script();
    if (!file) return;
    int hang = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strcmp(line, what)) hang = 1;
    }
    fclose(file);
    while (hang) pause();
}

static void write_if_told(int card) {
    char line[256], wanted[32];
    FILE *file = script(), *there;
    if (!file) return;
    snprintf(wanted, sizeof wanted, "write %d ", card);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, wanted, strlen(wanted)) && (there = fopen(line + strlen(wanted), "a"))) {
            fputs("x", there);
            fclose(there);
        }
    }
    fclose(file);
}

static int touch(card *c) {
    char what[32];
    double code;
    snprintf(what, sizeof what, "hang %d", c->id);
    hang_if(what);
    write_if_told(c->id);
    if (find("slow %d %s", c->id, "", &code)) usleep((useconds_t)(code * 1000));
    return find("code %d %s", c->id, "", &code) ? (int)code : 0;
}

static int read_one(card *c, const char *name, double fallback, double *value) {
    double code;
    int failed = touch(c);
    if (failed) return failed;
    if (find("fail %d %s ", c->id, name, &code)) return (int)code;
    *value = fallback;
    find("set %d %s ", c->id, name, value);
    return 0;
}

int nvmlInitWithFlags(unsigned flags) {
    double code;
    (void)flags;
    hang_if("hang init");
    if (find("slow init%.0d%s", 0, "", &code)) usleep((useconds_t)(code * 1000));
    return find("init %.0d%s", 0, "", &code) ? (int)code : 0;
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { (void)code; return "fake error"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "580.00"); return 0; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    double value = 2, code;
    if (find("driver %.0d%s", 0, "", &code)) return (int)code;
    find("count %.0d%s", 0, "", &value);
    *count = (unsigned)value;
    return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, card **handle) {
    char line[256];
    int id = (int)index;
    FILE *file = script();
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "order ", 6)) {
            char *word = strtok(line + 6, " \n");
            for (unsigned at = 0; word && at < index; at++) word = strtok(NULL, " \n");
            if (word) id = atoi(word);
        }
    if (file) fclose(file);
    int failed = touch(&cards[id]);
    if (!failed) *handle = &cards[id];
    return failed;
}
int nvmlDeviceGetUUID(card *c, char *text, unsigned size) {
    int failed = touch(c);
    if (!failed && c->id >= 100) snprintf(text, size, "MIG-fake-%d", c->id);
    else if (!failed) snprintf(text, size, "GPU-fake-%d", c->id);
    return failed;
}
int nvmlDeviceGetName(card *c, char *text, unsigned size) {
    int failed = touch(c);
    if (!failed) snprintf(text, size, "Fake H100");
    return failed;
}
/* MIG devices of card N: `instances N COUNT`; the card of its own number 100 (N + 1) + index. */
static card slices[16 * 8];
int nvmlDeviceGetMaxMigDeviceCount(card *c, unsigned *count) {
    int failed = touch(c);
    *count = 8;
    return failed;
}
int nvmlDeviceGetMigDeviceHandleByIndex(card *c, unsigned index, card **out) {
    double count = 0;
    find("instances %d %s", c->id, "", &count);
    if (index >= (unsigned)count) return 6; /* not found */
    *out = &slices[c->id * 8 + (int)index];
    (*out)->id = 100 * (c->id + 1) + (int)index;
    return 0;
}
typedef struct { char legacy[16]; unsigned domain, bus, device, id, sub; char bus_id[32]; } pci;
int nvmlDeviceGetPciInfo_v3(card *c, pci *info) {
    int failed = touch(c);
    memset(info, 0, sizeof *info);
    snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", c->id + 3);
    return failed;
}

typedef struct { unsigned pid; u64 used; unsigned gi, ci; } process;
enum { MOST_HELD = 64 };

/* Processes that live and have a file in the holders' folder. */
static unsigned held_on(card *c, process *out) {
    char line[400], folder[360] = "";
    unsigned found = 0;
    FILE *file = script();
    while (file && fgets(line, sizeof line, file)) sscanf(line, "holders %359s", folder);
    if (file) fclose(file);
    DIR *dir = folder[0] ? opendir(folder) : NULL;
    for (struct dirent *entry; dir && found < MOST_HELD && (entry = readdir(dir));) {
        int card_id, pid, end = 0;
        char path[700];
        if (sscanf(entry->d_name, "%d-%d%n", &card_id, &pid, &end) != 2 || entry->d_name[end]) continue;
        if (card_id != c->id || kill(pid, 0)) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        FILE *one = fopen(path, "r");
        if (!one) continue;
        process held = {(unsigned)pid, 0, ~0u, ~0u};
        if (fscanf(one, "%llu", &held.used) == 1) out[found++] = held;
        fclose(one);
    }
    if (dir) closedir(dir);
    return found;
}

typedef struct { unsigned version; u64 total, reserved, free, used; } memory;
int nvmlDeviceGetMemoryInfo_v2(card *c, memory *info) {
    double used = 0;
    process holders[MOST_HELD];
    int failed = read_one(c, "used", 1e9, &used);
    unsigned count = held_on(c, holders);
    for (unsigned i = 0; i < count; i++) used += (double)holders[i].used;
    info->total = 80ull << 30;
    info->reserved = 1ull << 29;
    info->used = (u64)used;
    info->free = info->total - info->used - info->reserved;
    return failed;
}
typedef struct { unsigned gpu, memory; } rates;
int nvmlDeviceGetUtilizationRates(card *c, rates *out) {
    double gpu = 0;
    int failed = read_one(c, "utilization", 50, &gpu);
    out->gpu = (unsigned)gpu;
    out->memory = 10;
    return failed;
}
typedef struct { unsigned version, sensor; int celsius; } temperature;
int nvmlDeviceGetTemperatureV(card *c, temperature *out) {
    double value = 0;
    int failed = read_one(c, "temperature", 45, &value);
    out->celsius = (int)value;
    return failed;
}
int nvmlDeviceGetTemperatureThreshold(card *c, int which, unsigned *out) {
    (void)which;
    *out = 89;
    return touch(c);
}
#define UNSIGNED(function, name, fallback)                                                     \
    int function(card *c, unsigned *out) {                                                     \
        double value = 0;                                                                      \
        int failed = read_one(c, name, fallback, &value);                                      \
        *out = (unsigned)value;                                                                \
        return failed;                                                                         \
    }
UNSIGNED(nvmlDeviceGetPowerUsage, "power", 300000)
UNSIGNED(nvmlDeviceGetEnforcedPowerLimit, "power_limit", 700000)
UNSIGNED(nvmlDeviceGetPcieReplayCounter, "replays", 0)
UNSIGNED(nvmlDeviceGetCurrPcieLinkGeneration, "pcie", 5)
UNSIGNED(nvmlDeviceGetCurrPcieLinkWidth, "width", 16)
int nvmlDeviceGetCurrentClocksEventReasons(card *c, u64 *out) {
    double value = 0;
    int failed = read_one(c, "reasons", 1, &value);
    *out = (u64)value;
    return failed;
}
int nvmlDeviceGetTotalEccErrors(card *c, int error, int counter, u64 *out) {
    double value = 0;
    const char *names[] = {"ecc_corrected", "ecc_corrected_life", "ecc", "ecc_life"};
    int failed = read_one(c, names[2 * error + counter], 0, &value);
    *out = (u64)value;
    return failed;
}
int nvmlDeviceGetRemappedRows(card *c, unsigned *a, unsigned *b, unsigned *pending, unsigned *bad) {
    double p = 0, f = 0;
    int failed = read_one(c, "remap_pending", 0, &p);
    if (!failed) failed = read_one(c, "remap_failed", 0, &f);
    *a = *b = 0;
    *pending = (unsigned)p;
    *bad = (unsigned)f;
    return failed;
}
typedef struct { unsigned field, scope; long long at, took; unsigned type, code; u64 value; } field;
int nvmlDeviceGetFieldValues(card *c, int count, field *fields) {
    int failed = touch(c);
    for (int i = 0; i < count && !failed; i++) {
        double value = 0;
        fields[i].code = (unsigned)read_one(c, "recovery", 0, &value);
        fields[i].type = 1;
        fields[i].value = (u64)value;
    }
    return failed;
}
int nvmlDeviceGetComputeRunningProcesses_v3(card *c, unsigned *count, process *out) {
    double pid = 0;
    process holders[MOST_HELD + 1];
    int failed = read_one(c, "pid", 0, &pid);
    if (failed) return failed;
    unsigned held = held_on(c, holders);
    if (pid > 0) holders[held++] = (process){(unsigned)pid, 1 << 30, ~0u, ~0u};
    unsigned room = *count;
    *count = held;
    if (room < held) return 7; /* insufficient size */
    memcpy(out, holders, held * sizeof *out);
    return 0;
}
int nvmlDeviceGetClockInfo(card *c, int which, unsigned *out) {
    double value = 0;
    int failed = read_one(c, which == 2 ? "memory_clock" : "clock", which == 2 ? 2619 : 345, &value);
    *out = (unsigned)value;
    return failed;
}
int nvmlDeviceGetTotalEnergyConsumption(card *c, u64 *out) {
    double value = 0;
    int failed = read_one(c, "energy", 5e9, &value);
    *out = (u64)value;
    return failed;
}
int nvmlDeviceGetMigMode(card *c, unsigned *current, unsigned *pending) {
    double value = 0;
    int failed = read_one(c, "mig", 0, &value);
    *current = *pending = (unsigned)value;
    return failed;
}
static int has_link(card *c, unsigned link) {
    double count = 0;
    find("links %d %s", c->id, "", &count);
    return link < (unsigned)count;
}
int nvmlDeviceGetNvLinkState(card *c, unsigned link, unsigned *up) {
    double down = -1;
    int failed = has_link(c, link) ? read_one(c, "link_down", -1, &down) : 3;
    *up = (unsigned)down != link || down < 0;
    return failed;
}
int nvmlDeviceGetNvLinkErrorCounter(card *c, unsigned link, int which, u64 *out) {
    double value = 0;
    (void)which;
    int failed = has_link(c, link) ? read_one(c, "link_errors", 0, &value) : 3;
    *out = (u64)value;
    return failed;
}

int nvmlEventSetCreate(void **set) {
    char line[256];
    int n, xid;
    FILE *file = script();
    while (file && fgets(line, sizeof line, file))
        events_given += sscanf(line, "event %d %d", &n, &xid) == 2;
    if (file) fclose(file);
    *set = &events_given;
    return 0;
}
int nvmlEventSetFree(void *set) { (void)set; return 0; }
int nvmlDeviceGetSupportedEventTypes(card *c, u64 *types) { *types = 0x8; return touch(c); }
int nvmlDeviceRegisterEvents(card *c, u64 types, void *set) { (void)types; (void)set; return touch(c); }
typedef struct { card *device; u64 type, data; unsigned gi, ci; } event;
int nvmlEventSetWait_v2(void *set, event *out, unsigned ms) {
    char line[256];
    int n, xid, seen = 0;
    FILE *file = script();
    (void)set; (void)ms;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "event %d %d", &n, &xid) == 2 && seen++ == events_given) {
            events_given++;
            fclose(file);
            out->device = &cards[n];
            out->type = 0x8;
            out->data = (u64)xid;
            return 0;
        }
    if (file) fclose(file);
    return 10;
}
