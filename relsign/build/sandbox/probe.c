/*
 * What a process in a build container can see of the machine.
 *
 * Prints one line for each channel: its name, a tab, `=` for a value that is there or
 * `-` for one that is hidden (missing, empty or refused), a tab, and the value.  It
 * judges nothing: `relsign doctor --probe` runs it twice under varied conditions and
 * holds what it said against the sandbox profile.
 *
 * It changes nothing but a folder of its own where it starts, and does not run as root.
 *
 * Needs a C compiler, the C library with its mathematics, and a Linux kernel:
 *
 *     cc -O0 -o probe probe.c -lm && ./probe
 *
 * A new channel is one row of a table or one `say` in a function named by its group;
 * the profile's `channels` must then name it too.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <limits.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define SHOWN 160      /* bytes of a value that are printed as they are */
#define READ_MAX 65536 /* bytes of a file that are looked at */
#define NAMES_MAX 4096 /* entries of a folder that are looked at */

extern char **environ;

/* FNV-1a: tells two values apart; nobody attacks it here. */
static uint64_t fingerprint(const unsigned char *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

/* Print one channel whose value is `size` bytes; no byte counts as hidden. */
static void tell(const char *name, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    printf("%s\t%c\t", name, size ? '=' : '-');
    for (size_t i = 0; i < size && i < SHOWN; i++) {
        if (bytes[i] >= ' ' && bytes[i] < 127 && bytes[i] != '\\')
            putchar(bytes[i]);
        else
            printf("\\x%02x", bytes[i]);
    }
    if (size > SHOWN)
        printf(" ... %zu bytes, %016llx", size, (unsigned long long)fingerprint(bytes, size));
    putchar('\n');
}

__attribute__((format(printf, 2, 3))) static void say(const char *name, const char *format, ...)
{
    char text[8192];
    va_list values;
    va_start(values, format);
    int size = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (size < 0)
        size = 0;
    tell(name, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

static const char *outcome(long result)
{
    return result < 0 ? strerrorname_np(errno) : "allowed";
}

static void say_file(const char *name, const char *path)
{
    static char data[READ_MAX];
    size_t size = 0;
    ssize_t got;
    int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    while (file >= 0 && size < sizeof data && (got = read(file, data + size, sizeof data - size)) > 0)
        size += (size_t)got;
    if (file >= 0)
        close(file);
    tell(name, data, size);
}

static int by_text(const void *one, const void *two)
{
    return strcmp(*(char *const *)one, *(char *const *)two);
}

/* Print the names in a folder, sorted or as the kernel gives them. */
static void say_folder(const char *name, const char *path, int sorted)
{
    static char *names[NAMES_MAX];
    size_t count = 0;
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && count < COUNT(names) && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            names[count++] = strdup(entry->d_name);
    if (folder)
        closedir(folder);
    if (sorted)
        qsort(names, count, sizeof names[0], by_text);
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    for (size_t i = 0; i < count; i++) {
        fprintf(stream, "%s%s", i ? " " : "", names[i]);
        free(names[i]);
    }
    fclose(stream);
    tell(name, text, size);
    free(text);
}

static void say_link(const char *name, const char *path)
{
    char text[PATH_MAX];
    ssize_t size = readlink(path, text, sizeof text);
    tell(name, text, size < 0 ? 0 : (size_t)size);
}

/* Print the line of /proc/self/status that begins with `key`. */
static void say_status(const char *name, const char *key)
{
    char line[4096];
    FILE *file = fopen("/proc/self/status", "re");
    const char *found = "";
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':') {
            found = line + strlen(key) + 1 + strspn(line + strlen(key) + 1, " \t");
            break;
        }
    if (file)
        fclose(file);
    tell(name, found, strcspn(found, "\n"));
}

/* The C library keeps two signals to itself. Whether they are ignored depends on how an
   ancestor of the engine started its children, and no program can set or ask it but here. */
static void signals(void)
{
    char text[8 * 64] = "", line[4096];
    unsigned long long ignored = 0;
    FILE *file = fopen("/proc/self/status", "re");
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (!sigaction(number, NULL, &action) && action.sa_handler == SIG_IGN)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%d ", number);
    }
    say("signals ignored", "%s", *text ? text : "none");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "SigIgn: %llx", &ignored) == 1)
            break;
    if (file)
        fclose(file);
    say("signals of the library", "%llx", ignored & 0x180000000ULL);
}

struct place {
    const char *name, *path;
};

static const struct place files[] = {
    {"clock uptime report", "/proc/uptime"},
    {"clock timers", "/proc/timer_list"},
    {"clock source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
    {"cpu report", "/proc/cpuinfo"},
    {"cpu statistics", "/proc/stat"},
    {"cpu interrupts", "/proc/interrupts"},
    {"cpu soft interrupts", "/proc/softirqs"},
    {"cpu schedule", "/proc/schedstat"},
    {"cpu load", "/proc/loadavg"},
    {"cpu online file", "/sys/devices/system/cpu/online"},
    {"cpu possible file", "/sys/devices/system/cpu/possible"},
    {"cpu topology", "/sys/devices/system/cpu/cpu0/topology/core_id"},
    {"cpu frequency", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"},
    {"cpu weaknesses", "/sys/devices/system/cpu/vulnerabilities/spectre_v2"},
    {"kernel version report", "/proc/version"},
    {"kernel command line", "/proc/cmdline"},
    {"kernel configuration", "/proc/config.gz"},
    {"kernel modules", "/proc/modules"},
    {"kernel symbols", "/proc/kallsyms"},
    {"kernel file systems", "/proc/filesystems"},
    {"kernel ciphers", "/proc/crypto"},
    {"kernel devices", "/proc/devices"},
    {"kernel misc devices", "/proc/misc"},
    {"kernel consoles", "/proc/consoles"},
    {"kernel control groups", "/proc/cgroups"},
    {"kernel keys", "/proc/keys"},
    {"kernel key users", "/proc/key-users"},
    {"kernel locks", "/proc/locks"},
    {"kernel boot id", "/proc/sys/kernel/random/boot_id"},
    {"kernel setting release", "/proc/sys/kernel/osrelease"},
    {"kernel setting version", "/proc/sys/kernel/version"},
    {"kernel setting host name", "/proc/sys/kernel/hostname"},
    {"kernel setting processes", "/proc/sys/kernel/pid_max"},
    {"kernel setting threads", "/proc/sys/kernel/threads-max"},
    {"kernel setting addresses", "/proc/sys/kernel/randomize_va_space"},
    {"kernel setting core pattern", "/proc/sys/kernel/core_pattern"},
    {"kernel setting taint", "/proc/sys/kernel/tainted"},
    {"kernel setting last capability", "/proc/sys/kernel/cap_last_cap"},
    {"kernel setting open files", "/proc/sys/fs/file-nr"},
    {"kernel setting inodes", "/proc/sys/fs/inode-nr"},
    {"kernel setting names", "/proc/sys/fs/dentry-state"},
    {"kernel setting most files", "/proc/sys/fs/file-max"},
    {"kernel setting overcommit", "/proc/sys/vm/overcommit_memory"},
    {"kernel setting swap", "/proc/sys/vm/swappiness"},
    {"kernel setting backlog", "/proc/sys/net/core/somaxconn"},
    {"memory report", "/proc/meminfo"},
    {"memory statistics", "/proc/vmstat"},
    {"memory zones", "/proc/zoneinfo"},
    {"memory free blocks", "/proc/buddyinfo"},
    {"memory slabs", "/proc/slabinfo"},
    {"memory swaps", "/proc/swaps"},
    {"memory huge pages", "/sys/kernel/mm/transparent_hugepage/enabled"},
    {"memory node", "/sys/devices/system/node/node0/meminfo"},
    {"memory block size", "/sys/devices/system/memory/block_size_bytes"},
    {"random uuid", "/proc/sys/kernel/random/uuid"},
    {"random entropy", "/proc/sys/kernel/random/entropy_avail"},
    {"names host file", "/etc/hostname"},
    {"names hosts", "/etc/hosts"},
    {"names resolver", "/etc/resolv.conf"},
    {"names users", "/etc/passwd"},
    {"names groups", "/etc/group"},
    {"mounts table", "/proc/self/mountinfo"},
    {"mounts mtab", "/etc/mtab"},
    {"disk partitions", "/proc/partitions"},
    {"disk statistics", "/proc/diskstats"},
    {"device input", "/proc/bus/input/devices"},
    {"device pci", "/proc/bus/pci/devices"},
    {"device io ports", "/proc/ioports"},
    {"device io memory", "/proc/iomem"},
    {"device interrupt affinity", "/proc/irq/default_smp_affinity"},
    {"process control group", "/proc/self/cgroup"},
    {"process first", "/proc/1/cmdline"},
    {"process audit login", "/proc/self/loginuid"},
    {"process audit session", "/proc/self/sessionid"},
    {"process security label", "/proc/self/attr/current"},
    {"process oom adjustment", "/proc/self/oom_score_adj"},
    {"process oom score", "/proc/self/oom_score"},
    {"process status", "/proc/self/status"},
    {"process statistics", "/proc/self/stat"},
    {"process io", "/proc/self/io"},
    {"network devices", "/proc/self/net/dev"},
    {"network routes", "/proc/self/net/route"},
    {"network addresses", "/proc/self/net/if_inet6"},
    {"network unix sockets", "/proc/self/net/unix"},
    {"network sockets", "/proc/self/net/sockstat"},
    {"network protocols", "/proc/self/net/protocols"},
    {"control group memory limit", "/sys/fs/cgroup/memory.max"},
    {"control group memory use", "/sys/fs/cgroup/memory.current"},
    {"control group limit of old", "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
    {"ipc shared memory", "/proc/sysvipc/shm"},
    {"ipc messages", "/proc/sysvipc/msg"},
    {"engine docker marker", "/.dockerenv"},
    {"engine podman marker", "/run/.containerenv"},
};

static const struct place folders[] = {
    {"kernel file system reports", "/proc/fs"},
    {"kernel interface", "/sys/kernel"},
    {"kernel module folder", "/sys/module"},
    {"kernel pressure", "/proc/pressure"},
    {"kernel settings folder", "/proc/sys"},
    {"kernel top of sys", "/sys"},
    {"kernel file system folder", "/sys/fs"},
    {"disk blocks", "/sys/block"},
    {"device classes", "/sys/class"},
    {"device buses", "/sys/bus"},
    {"device numbers", "/sys/dev"},
    {"device tree", "/sys/devices"},
    {"device firmware", "/sys/firmware"},
    {"device power", "/sys/power"},
    {"device drivers", "/proc/driver"},
    {"device terminals", "/proc/tty"},
    {"device interrupts", "/proc/irq"},
    {"device files", "/dev"},
    {"cpu folder", "/sys/devices/system/cpu"},
    {"control group files", "/sys/fs/cgroup"},
    {"files in tmp", "/tmp"},
    {"files in var tmp", "/var/tmp"},
    {"files in run", "/run"},
    {"files in home", "/build/.home"},
    {"ipc shared memory folder", "/dev/shm"},
    {"ipc queues", "/dev/mqueue"},
};

static const struct place statuses[] = {
    {"cpu allowed", "Cpus_allowed"},
    {"memory nodes allowed", "Mems_allowed_list"},
    {"rights effective", "CapEff"},
    {"rights bounding", "CapBnd"},
    {"rights ambient", "CapAmb"},
    {"rights new", "NoNewPrivs"},
    {"rights filter", "Seccomp"},
    {"signals blocked", "SigBlk"},
    {"signals pending", "SigPnd"},
    {"process umask", "Umask"},
    {"process tracer", "TracerPid"},
    {"cpu speculation", "Speculation_Store_Bypass"},
};

static const struct place variables[] = {
    {"environment path", "PATH"},
    {"environment home", "HOME"},
    {"environment locale", "LC_ALL"},
    {"environment time zone", "TZ"},
    {"environment temporary folder", "TMPDIR"},
    {"environment host name", "HOSTNAME"},
    {"environment shell", "SHELL"},
    {"environment terminal", "TERM"},
    {"environment python hash seed", "PYTHONHASHSEED"},
    {"environment perl hash seed", "PERL_HASH_SEED"},
    {"environment proxy", "http_proxy"},
    {"environment engine", "container"},
    {"environment tunables", "GLIBC_TUNABLES"},
};

static const struct place spaces[] = {
    {"space build", "/build"},
    {"space tmp", "/tmp"},
    {"space var tmp", "/var/tmp"},
    {"space shared memory", "/dev/shm"},
};

struct limit {
    const char *name;
    int which;
};

static const struct limit limits[] = {
    {"limit address space", RLIMIT_AS},  {"limit core", RLIMIT_CORE},
    {"limit cpu", RLIMIT_CPU},           {"limit data", RLIMIT_DATA},
    {"limit file size", RLIMIT_FSIZE},   {"limit locks", RLIMIT_LOCKS},
    {"limit locked memory", RLIMIT_MEMLOCK}, {"limit queues", RLIMIT_MSGQUEUE},
    {"limit nice", RLIMIT_NICE},         {"limit open files", RLIMIT_NOFILE},
    {"limit processes", RLIMIT_NPROC},   {"limit resident", RLIMIT_RSS},
    {"limit real time", RLIMIT_RTPRIO},  {"limit real time span", RLIMIT_RTTIME},
    {"limit signals", RLIMIT_SIGPENDING}, {"limit stack", RLIMIT_STACK},
};

static const struct limit constants[] = {
    {"cpu online", _SC_NPROCESSORS_ONLN},
    {"cpu configured", _SC_NPROCESSORS_CONF},
    {"cpu cache line", _SC_LEVEL1_DCACHE_LINESIZE},
    {"cpu last cache", _SC_LEVEL3_CACHE_SIZE},
    {"memory pages", _SC_PHYS_PAGES},
    {"memory free pages", _SC_AVPHYS_PAGES},
    {"memory page size", _SC_PAGESIZE},
    {"clock ticks", _SC_CLK_TCK},
    {"limit arguments", _SC_ARG_MAX},
    {"limit groups", _SC_NGROUPS_MAX},
};

static void tables(void)
{
    for (size_t i = 0; i < COUNT(files); i++)
        say_file(files[i].name, files[i].path);
    for (size_t i = 0; i < COUNT(folders); i++)
        say_folder(folders[i].name, folders[i].path, 1);
    for (size_t i = 0; i < COUNT(statuses); i++)
        say_status(statuses[i].name, statuses[i].path);
    signals();
    for (size_t i = 0; i < COUNT(variables); i++) {
        const char *value = getenv(variables[i].path);
        tell(variables[i].name, value, value ? strlen(value) : 0);
    }
    for (size_t i = 0; i < COUNT(limits); i++) {
        struct rlimit limit = {0, 0};
        getrlimit(limits[i].which, &limit);
        say(limits[i].name, "%lld %lld", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
    for (size_t i = 0; i < COUNT(constants); i++)
        say(constants[i].name, "%ld", sysconf(constants[i].which));
    for (size_t i = 0; i < COUNT(spaces); i++) {
        struct statvfs space = {0};
        statvfs(spaces[i].path, &space);
        say(spaces[i].name, "%llu bytes", (unsigned long long)space.f_blocks * space.f_frsize);
    }
}

/* The addresses are taken first: what is allocated later would move the heap. */
static void addresses(void)
{
    int local = 0;
    void *heap = malloc(64), *mapped = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    say("address stack", "%p", (void *)&local);
    say("address heap", "%p", heap);
    say("address program", "%p", (void *)(uintptr_t)&addresses);
    say("address mapping", "%p", mapped);
    say("address library", "%p", (void *)(uintptr_t)&printf);
    say("address vdso", "%#lx", getauxval(AT_SYSINFO_EHDR));
    say("address environment", "%p", (void *)environ[0]);
    say("address personality", "%#x", (unsigned)personality(0xffffffff));
    munmap(mapped, 4096);
    free(heap);
}

static void kernel(void)
{
    struct utsname names;
    uname(&names);
    say("kernel name", "%s", names.sysname);
    say("kernel release", "%s", names.release);
    say("kernel version", "%s", names.version);
    say("kernel machine", "%s", names.machine);
    say("names node", "%s", names.nodename);
    say("names domain", "%s", names.domainname);
    say_link("kernel name space", "/proc/self/ns/user");
}

static void processor(void)
{
    cpu_set_t set;
    unsigned number = 0, node = 0;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    say("cpu affinity count", "%d", CPU_COUNT(&set));
    syscall(SYS_getcpu, &number, &node, NULL);
    say("cpu number", "%u", number);
    say("cpu capabilities", "%#lx %#lx", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
#if defined(__x86_64__) || defined(__i386__)
    unsigned words[4] = {0}, brand[12] = {0};
    for (unsigned i = 0; i < 3; i++)
        __get_cpuid(0x80000002u + i, brand + 4 * i, brand + 4 * i + 1, brand + 4 * i + 2, brand + 4 * i + 3);
    say("cpu brand", "%.48s", (char *)brand);
    __get_cpuid_count(7, 0, words, words + 1, words + 2, words + 3);
    say("cpu features", "%08x %08x %08x", words[1], words[2], words[3]);
    __get_cpuid(1, words, words + 1, words + 2, words + 3);
    say("cpu local number", "%u", words[1] >> 24);
#endif
}

/* Functions whose last bit depends on whether the processor fuses multiply and add. */
static void mathematics(void)
{
    double values[4][512];
    volatile double point = 0.1;
    for (int i = 0; i < 512; i++, point += 0.7312) {
        values[0][i] = sin(point);
        values[1][i] = exp(point / 9);
        values[2][i] = pow(point, 1.37);
        values[3][i] = log(point) + atan(point) + tan(point);
    }
    say("math functions", "%016llx", (unsigned long long)fingerprint((unsigned char *)values, sizeof values));
}

static void memory_size(void)
{
    struct sysinfo info = {0};
    sysinfo(&info);
    say("memory total", "%llu", (unsigned long long)info.totalram * info.mem_unit);
    say("memory free", "%llu", (unsigned long long)info.freeram * info.mem_unit);
    say("process count of host", "%u", (unsigned)info.procs);
    say("clock since boot", "%ld", info.uptime);
}

static void clocks(void)
{
    struct timespec now, step;
    clock_gettime(CLOCK_REALTIME, &now);
    say("clock time", "%lld", (long long)now.tv_sec);
    clock_gettime(CLOCK_MONOTONIC, &now);
    say("clock monotonic", "%lld", (long long)now.tv_sec);
    clock_getres(CLOCK_REALTIME, &step);
    say("clock resolution", "%ld ns", step.tv_nsec);
    clock_getres(CLOCK_REALTIME_COARSE, &step);
    say("clock coarse resolution", "%ld ns", step.tv_nsec);
    tzset();
    say("clock zone", "%s %s %ld", tzname[0], tzname[1], timezone);
    say_link("clock zone file", "/etc/localtime");
}

static void randomness(void)
{
    uint64_t value = 0;
    const uint64_t *given = (const uint64_t *)getauxval(AT_RANDOM);
    if (getrandom(&value, sizeof value, 0) < 0)
        value = 0;
    say("random call", "%016llx", (unsigned long long)value);
    say("random of start", "%016llx", (unsigned long long)(given ? *given : 0));
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(file, &value, sizeof value);
    close(file);
    tell("random device", &value, got < 0 ? 0 : (size_t)got);
}

static void people(void)
{
    gid_t groups[64];
    int count = getgroups(64, groups);
    struct passwd *user = getpwuid(getuid());
    struct group *group = getgrgid(getgid());
    say("user", "%u %u %u %u", getuid(), geteuid(), getgid(), getegid());
    say("user groups", "%d: %u", count, count > 0 ? groups[0] : 0);
    say("user entry", "%s %s %s", user ? user->pw_name : "", user ? user->pw_dir : "", user ? user->pw_shell : "");
    say("user group entry", "%s", group ? group->gr_name : "");
    say("user login name", "%s", getlogin() ? getlogin() : "none");
}

static void process(void)
{
    char folder[PATH_MAX] = "";
    int policy = sched_getscheduler(0);
    say("process number", "%d", getpid());
    say("process parent", "%d", getppid());
    say("process leader", "%s", getsid(0) == getpgrp() ? "own group" : "another's group");
    say("process nice", "%d", getpriority(PRIO_PROCESS, 0));
    say("process policy", "%d", policy);
    say("process timer slack", "%d", prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
    say("process dumpable", "%d", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    say("rights secure bits", "%d", prctl(PR_GET_SECUREBITS, 0, 0, 0, 0));
    say("files working folder", "%s", getcwd(folder, sizeof folder) ? folder : "");
    say("process terminal", "%s", outcome(open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)));
    say_link("process standard input", "/proc/self/fd/0");
    struct stat kind[2] = {0};
    fstat(1, kind);
    fstat(2, kind + 1);
    say("process output", "%o %o", kind[0].st_mode & S_IFMT, kind[1].st_mode & S_IFMT);
    int above = 0;
    for (int number = 3; number < 1024; number++)
        above += fcntl(number, F_GETFD) >= 0;
    say("process open files", "%d", above);
}

static void surroundings(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    for (char **entry = environ; *entry; entry++)
        fprintf(stream, "%s;", *entry);
    fclose(stream);
    tell("environment in order", text, size);
    free(text);
}

static void new_files(void)
{
    const char *names[] = {"zeta", "alpha", "mu", "b", "a", "tau", "10", "9", "Beta", "_"};
    struct stat about = {0};
    mkdir("probe.d", 0777);
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[64];
        snprintf(path, sizeof path, "probe.d/%s", names[i]);
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
    }
    say_folder("order build folder", "probe.d", 0);
    say_folder("order root", "/", 0);
    say_folder("order programs", "/usr/bin", 0);
    stat("probe.d", &about);
    say("files folder mode", "%o %u %u", about.st_mode, about.st_uid, about.st_gid);
    stat("probe.d/mu", &about);
    say("files mode", "%o %u %u", about.st_mode, about.st_uid, about.st_gid);
    say("files number", "%llu", (unsigned long long)about.st_ino);
    say("files device", "%u:%u", major(about.st_dev), minor(about.st_dev));
    say("files time", "%lld", (long long)about.st_mtim.tv_sec);
    say("files block size", "%ld", (long)about.st_blksize);
    say("files attributes", "%s", outcome(setxattr("probe.d/mu", "user.x", "y", 1, 0)));
    stat("/", &about);
    say("files root number", "%llu", (unsigned long long)about.st_ino);
}

static void systems_of_files(void)
{
    struct statfs kind = {0};
    statfs("/", &kind);
    say("disk root kind", "%#lx", (unsigned long)kind.f_type);
    say("disk root free", "%llu", (unsigned long long)kind.f_bfree * (unsigned long long)kind.f_bsize);
    statfs("/build", &kind);
    say("files build kind", "%#lx", (unsigned long)kind.f_type);
    struct statvfs root = {0};
    statvfs("/", &root);
    say("files root write", "%s", root.f_flag & ST_RDONLY ? "read-only" : "writable");
}

static void network(void)
{
    struct if_nameindex *list = if_nameindex();
    char text[512] = "";
    for (struct if_nameindex *one = list; one && one->if_index; one++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%u %s ", one->if_index, one->if_name);
    if_freenameindex(list);
    say("network interfaces", "%s", text);
    struct sockaddr_in far = {.sin_family = AF_INET, .sin_port = htons(9)};
    far.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1, for documentation: RFC 5737 */
    int line = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    say("network way out", "%s", outcome(connect(line, (struct sockaddr *)&far, sizeof far)));
    int room = 0;
    socklen_t size = sizeof room;
    getsockopt(line, SOL_SOCKET, SO_RCVBUF, &room, &size);
    say("network buffer", "%d", room);
    close(line);
    say("network raw packets", "%s", outcome(socket(AF_PACKET, SOCK_RAW, 0)));
    say("network virtual machines", "%s", outcome(socket(AF_VSOCK, SOCK_STREAM, 0)));
    say_link("network name space", "/proc/self/ns/net");
}

static void shared(void)
{
    struct shminfo most = {0};
    struct msginfo queue = {0};
    shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&most);
    msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&queue);
    say("ipc segment limit", "%lu", (unsigned long)most.shmmni);
    say("ipc message limit", "%d", queue.msgmax);
}

/* Each call is made so that it does nothing where it is allowed: no mount has no target. */
static void system_calls(void)
{
    say("call mount", "%s", outcome(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL)));
    say("call unshare", "%s", outcome(syscall(SYS_unshare, 1)));
    say("call clone3", "%s", outcome(syscall(SYS_clone3, NULL, 0)));
    say("call bpf", "%s", outcome(syscall(SYS_bpf, -1, NULL, 0)));
    say("call keyctl", "%s", outcome(syscall(SYS_keyctl, -1, 0, 0)));
    say("call perf", "%s", outcome(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0)));
    say("call userfaultfd", "%s", outcome(syscall(SYS_userfaultfd, -1)));
    say("call io uring", "%s", outcome(syscall(425, 1, NULL)));
    say("call landlock", "%s", outcome(syscall(444, NULL, 0, 1)));
    say("call beyond the list", "%s", outcome(syscall(1000)));
}

int main(void)
{
    if (geteuid() == 0) {
        fputs("probe: made for a build container's user, not for root\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    addresses();
    tables();
    kernel();
    processor();
    mathematics();
    memory_size();
    clocks();
    randomness();
    people();
    process();
    surroundings();
    new_files();
    systems_of_files();
    network();
    shared();
    system_calls();
    return fflush(stdout) ? 1 : 0;
}
