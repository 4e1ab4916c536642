/* Starts a command under a pid of the caller's choice, in a session of its own: pid_taker PID COMMAND…
 * The pid must be free; only root may choose (clone3(2), set_tid). */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    pid_t wanted = argc > 2 ? atoi(argv[1]) : 0;
    struct clone_args how = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    long got = syscall(SYS_clone3, &how, sizeof how);
    if (got < 0) {
        perror("clone3");
        return 1;
    }
    if (got == 0) {
        setsid();
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    waitpid((pid_t)got, NULL, 0); /* stays, so that the one that it started is reaped when it ends */
    return 0;
}
