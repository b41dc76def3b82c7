/*
 * A disk that fails and forgets, for the files of one directory of one process (LD_PRELOAD).
 *
 * Two files steer it. The control file is shared memory: the harness switches faults on and off
 * while the process runs. The journal gets a record for everything that changes the directory or
 * makes a change durable, so that the harness can tell, after the process was killed, what a power
 * failure would have left of it (tests/faults/power.rs reads it). No sync reaches the real disk: the
 * journal decides what is durable.
 *
 *   RAFT3D_FAULT_DIR      absolute path of the directory, without a slash at its end
 *   RAFT3D_FAULT_CONTROL  path of the control file
 *   RAFT3D_FAULT_JOURNAL  path of the journal, outside of the directory
 *
 * One lock covers each change together with its record, so that the records are in the order of
 * the changes.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Laid out as `Control` in disk.rs. Zero everywhere means a sound disk. */
struct control {
    int32_t write_errno;   /* what creating, writing, renaming and truncating fails with */
    int32_t sync_errno;    /* what syncing fails with */
    int32_t sync_delay_ms; /* how long a sync takes */
    int32_t sync_skipped;  /* of this many syncs of file data one is carried out, if above 1 */
    int64_t clock_step_ms; /* added to the wall clock */
    int32_t failures;      /* how many calls were made to fail: counted here, read there */
};

enum kind { OPENED = 1, CREATED, WROTE, TRUNCATED, SYNCED, SYNC_FAILED, RENAMED, REMOVED };

/* A record is this header, then `path_len` bytes of path (for RENAMED: both, with a zero byte
 * between), then `data_len` bytes of data. */
struct record {
    uint32_t kind;
    uint32_t path_len;
    uint64_t inode;
    uint64_t offset; /* of a write; new length of a truncation; for a sync: length of the journal
                        when it was asked for, so that later writes are not covered */
    uint64_t data_len;
};

#define FD_MAX 65536

static uint64_t inode_of[FD_MAX]; /* 0: not one of ours; guarded by lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile struct control* control;
static int journal = -1;
static char dir[4096];
static size_t dir_len;

#define REAL(name) ((__typeof__(&name))real(#name))

static void* real(const char* name) {
    void* function = dlsym(RTLD_NEXT, name);
    if (function == NULL) abort();
    return function;
}

static void require(int holds, const char* what) {
    if (!holds) {
        fprintf(stderr, "the fault shim cannot work: %s: %s\n", what, strerror(errno));
        _exit(99);
    }
}

__attribute__((constructor)) static void begin(void) {
    const char* path = getenv("RAFT3D_FAULT_DIR");
    const char* control_path = getenv("RAFT3D_FAULT_CONTROL");
    const char* journal_path = getenv("RAFT3D_FAULT_JOURNAL");
    if (path == NULL || control_path == NULL || journal_path == NULL) return;
    dir_len = strlen(path);
    require(dir_len < sizeof dir, "RAFT3D_FAULT_DIR is too long");
    memcpy(dir, path, dir_len + 1);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC);
    require(fd >= 0, control_path);
    void* memory = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    require(memory != MAP_FAILED, control_path);
    syscall(SYS_close, fd);
    fd = (int)syscall(SYS_openat, AT_FDCWD, journal_path, O_WRONLY | O_APPEND | O_CLOEXEC);
    require(fd >= 0, journal_path);
    journal = fd;
    control = memory;
}

static int is_ours(const char* path) {
    return control != NULL && path != NULL && strncmp(path, dir, dir_len) == 0 &&
           (path[dir_len] == '/' || path[dir_len] == 0);
}

static void append(enum kind kind, uint64_t inode, uint64_t offset, const char* path,
                   size_t path_len, const void* data, size_t data_len) {
    struct record header = {(uint32_t)kind, (uint32_t)path_len, inode, offset, data_len};
    struct iovec parts[] = {{&header, sizeof header},
                            {(void*)(uintptr_t)path, path_len},
                            {(void*)(uintptr_t)data, data_len}};
    ssize_t expected = (ssize_t)(sizeof header + path_len + data_len);
    require(syscall(SYS_writev, journal, parts, 3) == expected, "writing the journal");
}

static int fails(int32_t error) {
    if (error == 0) return 0;
    __sync_fetch_and_add(&((struct control*)(uintptr_t)control)->failures, 1);
    errno = error;
    return 1;
}

static uint64_t tracked(int fd) {
    return fd >= 0 && fd < FD_MAX ? inode_of[fd] : 0;
}

static uint64_t track(int fd) {
    struct stat status;
    require(fd < FD_MAX && syscall(SYS_fstat, fd, &status) == 0, "looking at an opened file");
    inode_of[fd] = status.st_ino;
    return status.st_ino;
}

/* Opening and closing. */

static int open_file(int at, const char* path, int flags, mode_t mode) {
    if (!is_ours(path)) return (int)syscall(SYS_openat, at, path, flags, mode);
    int saved = errno;
    pthread_mutex_lock(&lock);
    struct stat before;
    int existed = syscall(SYS_newfstatat, AT_FDCWD, path, &before, 0) == 0;
    errno = saved;
    int creates = (flags & O_CREAT) != 0 && !existed;
    int fd = -1;
    if (!(creates && fails(control->write_errno)))
        fd = (int)syscall(SYS_openat, at, path, flags, mode);
    if (fd >= 0) {
        /* Killed before the record of a creation, the harness finds the file by itself. */
        uint64_t inode = track(fd);
        append(creates ? CREATED : OPENED, inode, 0, path, strlen(path), NULL, 0);
        if ((flags & O_TRUNC) != 0 && existed) append(TRUNCATED, inode, 0, NULL, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define TAKE_MODE(mode, flags)                    \
    mode_t mode = 0;                              \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) { \
        va_list rest;                             \
        va_start(rest, flags);                    \
        mode = va_arg(rest, mode_t);              \
        va_end(rest);                             \
    }

int open(const char* path, int flags, ...) {
    TAKE_MODE(mode, flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
    TAKE_MODE(mode, flags)
    return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char* path, int flags, ...) {
    TAKE_MODE(mode, flags)
    return open_file(at, path, flags, mode);
}

int openat64(int at, const char* path, int flags, ...) {
    TAKE_MODE(mode, flags)
    return open_file(at, path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < FD_MAX && control != NULL) {
        pthread_mutex_lock(&lock);
        inode_of[fd] = 0;
        pthread_mutex_unlock(&lock);
    }
    return (int)syscall(SYS_close, fd);
}

/* Duplicates are of the same file. */
static int control_file(int fd, int command, long argument) {
    int result = (int)syscall(SYS_fcntl, fd, command, argument);
    if (result >= 0 && result < FD_MAX && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) {
        pthread_mutex_lock(&lock);
        inode_of[result] = tracked(fd);
        pthread_mutex_unlock(&lock);
    }
    return result;
}

#define TAKE_ARGUMENT(argument, command) \
    va_list rest;                        \
    va_start(rest, command);             \
    long argument = va_arg(rest, long);  \
    va_end(rest);

int fcntl(int fd, int command, ...) {
    TAKE_ARGUMENT(argument, command)
    return control_file(fd, command, argument);
}

int fcntl64(int fd, int command, ...) {
    TAKE_ARGUMENT(argument, command)
    return control_file(fd, command, argument);
}

/* Writing. A disk that is full still takes half of the write that fills it. */

static ssize_t write_file(int fd, const struct iovec* parts, int count, off_t offset) {
    uint64_t inode = tracked(fd);
    size_t len = 0;
    for (int i = 0; i < count; i++) len += parts[i].iov_len;
    char* data = malloc(len + 1);
    require(data != NULL, "memory for a write");
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        memcpy(data + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    ssize_t written = -1;
    int32_t error = control->write_errno;
    if (error == ENOSPC && len > 1) len /= 2, error = 0;
    if (!fails(error)) {
        if (offset >= 0) {
            written = syscall(SYS_pwrite64, fd, data, len, offset);
        } else {
            written = syscall(SYS_write, fd, data, len);
            offset = lseek(fd, 0, SEEK_CUR) - written;
        }
    }
    if (written > 0) append(WROTE, inode, (uint64_t)offset, NULL, 0, data, (size_t)written);
    free(data);
    return written;
}

static ssize_t write_if_ours(int fd, const struct iovec* parts, int count, off_t offset,
                             int* ours) {
    ssize_t written = -1;
    *ours = 0;
    if (control == NULL || fd < 0 || fd >= FD_MAX || inode_of[fd] == 0) return -1;
    pthread_mutex_lock(&lock);
    *ours = tracked(fd) != 0;
    if (*ours) written = write_file(fd, parts, count, offset);
    pthread_mutex_unlock(&lock);
    return written;
}

ssize_t write(int fd, const void* data, size_t len) {
    struct iovec part = {(void*)(uintptr_t)data, len};
    int ours;
    ssize_t written = write_if_ours(fd, &part, 1, -1, &ours);
    return ours ? written : syscall(SYS_write, fd, data, len);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
    int ours;
    ssize_t written = write_if_ours(fd, parts, count, -1, &ours);
    return ours ? written : syscall(SYS_writev, fd, parts, count);
}

ssize_t pwrite(int fd, const void* data, size_t len, off_t offset) {
    struct iovec part = {(void*)(uintptr_t)data, len};
    int ours;
    ssize_t written = write_if_ours(fd, &part, 1, offset, &ours);
    return ours ? written : syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void* data, size_t len, off64_t offset) {
    return pwrite(fd, data, len, offset);
}

int ftruncate(int fd, off_t len) {
    pthread_mutex_lock(&lock);
    uint64_t inode = tracked(fd);
    int result = -1;
    if (inode == 0 || !fails(control->write_errno)) result = (int)syscall(SYS_ftruncate, fd, len);
    if (inode != 0 && result == 0) append(TRUNCATED, inode, (uint64_t)len, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate64(int fd, off64_t len) {
    return ftruncate(fd, len);
}

/* Syncing. */

/* Whether this sync of file data is one of those that only pretend. Called with the lock. */
static int skips(long number) {
    static int32_t count;
    return number == SYS_fdatasync && control->sync_skipped > 1 &&
           count++ % control->sync_skipped != 0;
}

static int sync_file(int fd, long number) {
    if (control == NULL) return (int)syscall(number, fd);
    pthread_mutex_lock(&lock);
    uint64_t inode = tracked(fd);
    struct stat status;
    require(syscall(SYS_fstat, journal, &status) == 0, "looking at the journal");
    pthread_mutex_unlock(&lock);
    if (inode == 0) return (int)syscall(number, fd);
    int32_t delay = control->sync_delay_ms;
    if (delay > 0) {
        struct timespec time = {delay / 1000, delay % 1000 * 1000000L};
        nanosleep(&time, NULL);
    }
    pthread_mutex_lock(&lock);
    int failed = fails(control->sync_errno);
    if (failed || !skips(number))
        append(failed ? SYNC_FAILED : SYNCED, inode, (uint64_t)status.st_size, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return failed ? -1 : 0;
}

int fsync(int fd) {
    return sync_file(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return sync_file(fd, SYS_fdatasync);
}

/* Names. */

int rename(const char* from, const char* to) {
    if (!is_ours(from)) return REAL(rename)(from, to);
    char both[2 * sizeof dir];
    size_t from_len = strlen(from), to_len = strlen(to);
    require(from_len + to_len + 1 < sizeof both, "a path is too long");
    memcpy(both, from, from_len + 1);
    memcpy(both + from_len + 1, to, to_len);
    pthread_mutex_lock(&lock);
    int result = -1;
    if (!fails(control->write_errno)) result = (int)syscall(SYS_rename, from, to);
    if (result == 0) append(RENAMED, 0, 0, both, from_len + 1 + to_len, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char* path) {
    if (!is_ours(path)) return (int)syscall(SYS_unlink, path);
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlink, path);
    if (result == 0) append(REMOVED, 0, 0, path, strlen(path), NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

/* The wall clock. */

int clock_gettime(clockid_t clock, struct timespec* time) {
    /* Looked up each time only before the first answer; the same value whoever stores it. */
    static int (*next)(clockid_t, struct timespec*);
    if (next == NULL) next = REAL(clock_gettime);
    int result = next(clock, time);
    int64_t step = control != NULL && clock == CLOCK_REALTIME ? control->clock_step_ms : 0;
    if (result == 0 && step != 0) {
        int64_t ns = time->tv_nsec + step % 1000 * 1000000;
        int64_t carry = ns < 0 ? -1 : ns / 1000000000;
        time->tv_sec += step / 1000 + carry;
        time->tv_nsec = (long)(ns - carry * 1000000000);
    }
    return result;
}
