/* Stands before fdatasync of a process and makes the disk under its log segments bad on demand.
 *
 * In the directory named by BAD_DISK: each file fail-N (N below 8) fails one sync with EIO and is removed;
 * while slow-500 or slow-5000 is there, each sync takes so many ms longer.
 * Only files whose names end in .vlog are touched; while footage-3000 is there each sync of one that
 * ends in .mp4 takes 3 s longer.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(int ms) {
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

static int ends_in(int fd, const char *ending) {
    char link[64], name[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    ssize_t wanted = strlen(ending);
    return length > wanted && memcmp(name + length - wanted, ending, wanted) == 0;
}

static int asked(const char *what, int number, int once) {
    char path[4096];
    const char *directory = getenv("BAD_DISK");
    if (!directory) return 0;
    snprintf(path, sizeof path, "%s/%s-%d", directory, what, number);
    return once ? unlink(path) == 0 : access(path, F_OK) == 0;
}

int fdatasync(int fd) {
    static const int delays_ms[] = {500, 5000};
    if (ends_in(fd, ".mp4") && asked("footage", 3000, 0)) pause_ms(3000);
    if (ends_in(fd, ".vlog")) {
        for (int i = 0; i < 2; i++)
            if (asked("slow", delays_ms[i], 0)) pause_ms(delays_ms[i]);
        for (int i = 0; i < 8; i++)
            if (asked("fail", i, 1)) {
                errno = EIO;
                return -1;
            }
    }
    return (int)syscall(SYS_fdatasync, fd);
}
