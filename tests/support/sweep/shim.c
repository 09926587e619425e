/* Counts the operations of a process on the files below a folder, and interrupts one of them.
 *
 * Built by shim.py and loaded with LD_PRELOAD. Nothing happens until `sweep_arm` is called in a forked process. Only
 * calls that go through the C library's names are seen: those of Python, GDAL, HDF5, numpy and torch do.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Kinds of operations; shim.py has the same numbers. */
enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, LINK = 16, UNLINK = 32, MKDIR = 64, RMDIR = 128, RESIZE = 256, LOCK = 512,
       READ = 1024, CHMOD = 2048 };
/* What happens: at every operation or one of them, or from one on. ASK lets the listener choose at every operation. */
enum { OFF, TELL_ALL, TELL, KILL, STOP, FAIL, FAIL_FROM, CLOCK_BACK, ASK };
/* Answer to ASK: a copy of the process goes on first, in which this operation and all later ones fail. */
enum { COPY = 'c' };

#define COPY_LIMIT_MS 60000
static char root[PATH_MAX], printed[2][PATH_MAX];
static size_t root_length;
static int mode = OFF, kinds, error_number, channel = -1;
static long at, seen;
static time_t clock_offset;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static __thread int inside;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

void sweep_arm(const char *folder, int counted, int what, long number, int error, int socket) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    kinds = counted, at = number, error_number = error, channel = socket, seen = 0, clock_offset = 0;
    mode = what;
}

/* Files for what a copy prints to stdout and stderr. */
void sweep_printed(const char *out, const char *err) {
    strncpy(printed[0], out, PATH_MAX - 1);
    strncpy(printed[1], err, PATH_MAX - 1);
}

/* Whether a path is the folder or lies below it. */
static int below(const char *path) {
    return !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static const char *absolute(int folder, const char *path, char *buffer) {
    if (path[0] == '/') return path;
    char link[64];
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (length < 0) return path;
    snprintf(buffer + length, PATH_MAX - length, "/%s", path);
    return buffer;
}

/* Tell the listener, and return its answer. */
static char tell(const char *kind, const char *path) {
    char line[PATH_MAX + 64], answer = 0;
    int length = snprintf(line, sizeof line, "%s %s\n", kind, path + (below(path) ? root_length : 0));
    if (syscall(SYS_write, channel, line, (size_t)length) == length)
        while (syscall(SYS_read, channel, &answer, 1) < 0 && errno == EINTR) {}
    return answer;
}

#define PYTHON(result, name, parameters) result (*name) parameters = (result (*) parameters)dlsym(RTLD_DEFAULT, #name)

/* Copy the process as Python's os.fork does; 0 in the copy. The other one waits for its end, and tells the status. */
static int copied(void) {
    PYTHON(int, PyGILState_Ensure, (void)); PYTHON(void, PyGILState_Release, (int));
    PYTHON(void, PyOS_BeforeFork, (void)); PYTHON(void, PyOS_AfterFork_Child, (void));
    PYTHON(void, PyOS_AfterFork_Parent, (void));
    int state = PyGILState_Ensure();
    PyOS_BeforeFork();
    pid_t copy = fork();
    if (!copy) {
        PyOS_AfterFork_Child();
        for (int number = 0; number < 2; number++) {
            int file = syscall(SYS_openat, AT_FDCWD, printed[number], O_WRONLY | O_CREAT | O_TRUNC, 0600);
            syscall(SYS_dup3, file, number + 1, 0);
            syscall(SYS_close, file);
        }
        PyGILState_Release(state);
        return 0;
    }
    PyOS_AfterFork_Parent();
    PyGILState_Release(state);
    char text[32];
    int status = 0, ended = 0;
    for (long waited = 0; !ended && waited < COPY_LIMIT_MS; waited++) {
        ended = waitpid(copy, &status, WNOHANG) == copy;
        if (!ended) usleep(1000);
    }
    if (!ended) syscall(SYS_kill, copy, SIGKILL), waitpid(copy, &status, 0);
    snprintf(text, sizeof text, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    tell("ended", text);
    return 1;
}

/* Count an operation on a path; nonzero if it has to fail with errno. */
static int counted(int kind, const char *name, const char *path) {
    if (mode == OFF || inside || !(kinds & kind) || !below(path)) return 0;
    int kept = errno, fails = 0;
    inside = 1;
    pthread_mutex_lock(&turn);
    long number = seen++;
    if (mode == TELL_ALL || (mode == TELL && number == at)) tell(name, path);
    if (mode == KILL && number == at) syscall(SYS_kill, getpid(), SIGKILL);
    if (mode == STOP && number == at) syscall(SYS_kill, getpid(), SIGSTOP);
    if (mode == ASK && tell(name, path) == COPY && !copied()) mode = FAIL_FROM, at = number;
    if (mode == CLOCK_BACK && number == at) clock_offset = -86400;
    if ((mode == FAIL && number == at) || (mode == FAIL_FROM && number >= at)) fails = 1;
    pthread_mutex_unlock(&turn);
    inside = 0;
    errno = fails ? error_number : kept;
    return fails;
}

static int by_path(int kind, const char *name, int folder, const char *path) {
    char buffer[PATH_MAX];
    return mode != OFF && path && counted(kind, name, absolute(folder, path, buffer));
}

static int by_descriptor(int kind, const char *name, int descriptor) {
    if (mode == OFF || inside || !(kinds & kind)) return 0;
    char link[64], path[PATH_MAX];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    errno = kept;
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return counted(kind, name, path);
}

static int opened(int folder, const char *path, int flags) {
    int writes = flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR);
    return by_path(writes ? OPEN : READ, writes ? "open" : "read", folder, path);
}

#define MODE_OF(flags, last) \
    mode_t bits = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, last); bits = va_arg(rest, mode_t); va_end(rest); }

#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        MODE_OF(flags, flags) REAL(name); return opened(AT_FDCWD, path, flags) ? -1 : real(path, flags, bits); }
#define OPENS_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        MODE_OF(flags, flags) REAL(name); return opened(folder, path, flags) ? -1 : real(folder, path, flags, bits); }
OPENS(open) OPENS(open64) OPENS_AT(openat) OPENS_AT(openat64)

int __open_2(const char *path, int flags) { return open(path, flags); }
int __open64_2(const char *path, int flags) { return open64(path, flags); }
int __openat_2(int folder, const char *path, int flags) { return openat(folder, path, flags); }
int __openat64_2(int folder, const char *path, int flags) { return openat64(folder, path, flags); }
int creat(const char *path, mode_t bits) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, bits); }
int creat64(const char *path, mode_t bits) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, bits); }

static int stream_flags(const char *how) {
    return strpbrk(how, "wa+") ? O_RDWR | (how[0] == 'r' ? 0 : O_CREAT) : O_RDONLY;
}
#define STREAMS(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(name); return opened(AT_FDCWD, path, stream_flags(how)) ? NULL : real(path, how); }
STREAMS(fopen) STREAMS(fopen64)

DIR *opendir(const char *path) { REAL(opendir); return by_path(READ, "list", AT_FDCWD, path) ? NULL : real(path); }

#define ON_DESCRIPTOR(result, name, kind, text, parameters, arguments) \
    result name parameters { REAL(name); return by_descriptor(kind, text, descriptor) ? -1 : real arguments; }
ON_DESCRIPTOR(ssize_t, write, WRITE, "write", (int descriptor, const void *from, size_t size), (descriptor, from, size))
ON_DESCRIPTOR(ssize_t, pwrite, WRITE, "write", (int descriptor, const void *from, size_t size, off_t place), (descriptor, from, size, place))
ON_DESCRIPTOR(ssize_t, pwrite64, WRITE, "write", (int descriptor, const void *from, size_t size, off64_t place), (descriptor, from, size, place))
ON_DESCRIPTOR(ssize_t, writev, WRITE, "write", (int descriptor, const struct iovec *from, int count), (descriptor, from, count))
ON_DESCRIPTOR(ssize_t, pwritev, WRITE, "write", (int descriptor, const struct iovec *from, int count, off_t place), (descriptor, from, count, place))
ON_DESCRIPTOR(ssize_t, pwritev64, WRITE, "write", (int descriptor, const struct iovec *from, int count, off64_t place), (descriptor, from, count, place))
ON_DESCRIPTOR(ssize_t, sendfile, WRITE, "write", (int descriptor, int from, off_t *place, size_t size), (descriptor, from, place, size))
ON_DESCRIPTOR(ssize_t, sendfile64, WRITE, "write", (int descriptor, int from, off64_t *place, size_t size), (descriptor, from, place, size))
ON_DESCRIPTOR(int, fsync, SYNC, "sync", (int descriptor), (descriptor))
ON_DESCRIPTOR(int, fdatasync, SYNC, "sync", (int descriptor), (descriptor))
ON_DESCRIPTOR(int, ftruncate, RESIZE, "resize", (int descriptor, off_t size), (descriptor, size))
ON_DESCRIPTOR(int, ftruncate64, RESIZE, "resize", (int descriptor, off64_t size), (descriptor, size))
ON_DESCRIPTOR(int, flock, LOCK, "lock", (int descriptor, int how), (descriptor, how))
ON_DESCRIPTOR(int, fchmod, CHMOD, "chmod", (int descriptor, mode_t bits), (descriptor, bits))

ssize_t copy_file_range(int from, off64_t *start, int descriptor, off64_t *place, size_t size, unsigned int flags) {
    REAL(copy_file_range);
    return by_descriptor(WRITE, "write", descriptor) ? -1 : real(from, start, descriptor, place, size, flags);
}
/* These two return the number of the error. */
int posix_fallocate(int descriptor, off_t start, off_t size) {
    REAL(posix_fallocate); return by_descriptor(RESIZE, "resize", descriptor) ? error_number : real(descriptor, start, size);
}
int posix_fallocate64(int descriptor, off64_t start, off64_t size) {
    REAL(posix_fallocate64); return by_descriptor(RESIZE, "resize", descriptor) ? error_number : real(descriptor, start, size);
}

size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
    REAL(fwrite); return by_descriptor(WRITE, "write", fileno(file)) ? 0 : real(from, size, count, file);
}
int fflush(FILE *file) { REAL(fflush); return file && by_descriptor(WRITE, "write", fileno(file)) ? EOF : real(file); }
int fclose(FILE *file) {
    REAL(fclose);
    int flags = mode == OFF ? O_RDONLY : fcntl(fileno(file), F_GETFL);
    int fails = flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && by_descriptor(WRITE, "write", fileno(file));
    int result = real(file);
    if (fails) errno = error_number;
    return fails ? EOF : result;
}

#define ON_PATH(name, kind, text, folder, path, parameters, arguments) \
    int name parameters { REAL(name); return by_path(kind, text, folder, path) ? -1 : real arguments; }
ON_PATH(rename, RENAME, "rename", AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(renameat, RENAME, "rename", into, to, (int folder, const char *from, int into, const char *to), (folder, from, into, to))
ON_PATH(renameat2, RENAME, "rename", into, to, (int folder, const char *from, int into, const char *to, unsigned int flags), (folder, from, into, to, flags))
ON_PATH(link, LINK, "link", AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(linkat, LINK, "link", into, to, (int folder, const char *from, int into, const char *to, int flags), (folder, from, into, to, flags))
ON_PATH(symlink, LINK, "link", AT_FDCWD, to, (const char *from, const char *to), (from, to))
ON_PATH(symlinkat, LINK, "link", folder, to, (const char *from, int folder, const char *to), (from, folder, to))
ON_PATH(unlink, UNLINK, "unlink", AT_FDCWD, path, (const char *path), (path))
ON_PATH(remove, UNLINK, "unlink", AT_FDCWD, path, (const char *path), (path))
ON_PATH(rmdir, RMDIR, "rmdir", AT_FDCWD, path, (const char *path), (path))
ON_PATH(mkdir, MKDIR, "mkdir", AT_FDCWD, path, (const char *path, mode_t bits), (path, bits))
ON_PATH(mkdirat, MKDIR, "mkdir", folder, path, (int folder, const char *path, mode_t bits), (folder, path, bits))
ON_PATH(truncate, RESIZE, "resize", AT_FDCWD, path, (const char *path, off_t size), (path, size))
ON_PATH(truncate64, RESIZE, "resize", AT_FDCWD, path, (const char *path, off64_t size), (path, size))
ON_PATH(chmod, CHMOD, "chmod", AT_FDCWD, path, (const char *path, mode_t bits), (path, bits))

int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    int kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK;
    return by_path(kind, kind == RMDIR ? "rmdir" : "unlink", folder, path) ? -1 : real(folder, path, flags);
}

int clock_gettime(clockid_t clock, struct timespec *moment) {
    REAL(clock_gettime);
    int result = real(clock, moment);
    if (!result && clock == CLOCK_REALTIME) moment->tv_sec += clock_offset;
    return result;
}
int gettimeofday(struct timeval *restrict moment, void *restrict zone) {
    REAL(gettimeofday);
    int result = real(moment, zone);
    if (!result && moment) moment->tv_sec += clock_offset;
    return result;
}
time_t time(time_t *moment) {
    REAL(time);
    time_t now = real(NULL) + clock_offset;
    if (moment) *moment = now;
    return now;
}
