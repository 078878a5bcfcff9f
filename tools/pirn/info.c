// SPDX-License-Identifier: MIT
/* pirn info: what this machine, the module and the library can do. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <numa.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/pirn.h>

#include "pirn_cmd.h"

#define DEVICE "/dev/pirn"

static void show_kernel(void)
{
	struct utsname name;

	if (uname(&name) == 0)
		printf("kernel: %s %s\n", name.release, name.machine);
}

/* "0-3,8" of the CPUs in @mask, as the options of this command take them. */
static void print_cpus(const struct bitmask *mask)
{
	const char *comma = "";
	unsigned long first, i;

	for (i = 0; i < mask->size; i++) {
		if (!numa_bitmask_isbitset(mask, (unsigned int)i))
			continue;
		first = i;
		while (i + 1 < mask->size &&
		       numa_bitmask_isbitset(mask, (unsigned int)i + 1))
			i++;
		printf("%s%lu", comma, first);
		if (i > first)
			printf("-%lu", i);
		comma = ",";
	}
}

/* The module's version from sysfs, "" when it declares none. */
static void read_version(char *text, size_t bytes)
{
	FILE *file = fopen("/sys/module/pirn/version", "re");

	text[0] = '\0';
	if (!file)
		return;
	if (!fgets(text, (int)bytes, file))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

/* Whose the device is, for who may not open it; "" when there is none. */
static const char *device_owner(void)
{
	static char text[128];
	const struct passwd *user;
	const struct group *group;
	struct stat st;

	if (stat(DEVICE, &st))
		return "";
	user = getpwuid(st.st_uid);
	group = getgrgid(st.st_gid);
	snprintf(text, sizeof(text), " (mode %04o, of user %s and group %s)",
		 (unsigned int)st.st_mode & 07777, user ? user->pw_name : "?",
		 group ? group->gr_name : "?");
	return text;
}

static void show_module(void)
{
	struct pirn_query query = { .size = sizeof(query) };
	bool loaded = access("/sys/module/pirn", F_OK) == 0;
	char version[64];
	int fd;

	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		printf("module: %sloaded, %s: %s", loaded ? "" : "not ",
		       DEVICE, strerror(errno));
		puts(device_owner());
		return;
	}
	read_version(version, sizeof(version));
	if (ioctl(fd, PIRN_IOC_QUERY, &query) < 0)
		printf("module: loaded, QUERY on %s: %s\n", DEVICE,
		       strerror(errno));
	else
		printf("module: loaded%s%s, ABI %u\n", version[0] ? ", " : "",
		       version, query.abi_version);
	close(fd);
}

static void show_cores(void)
{
	struct bitmask *mine = numa_allocate_cpumask();

	if (numa_sched_getaffinity(0, mine) < 0) {
		printf("cores: not known, %s\n", strerror(errno));
	} else {
		printf("cores: %u, CPUs ", numa_bitmask_weight(mine));
		print_cpus(mine);
		putchar('\n');
	}
	numa_bitmask_free(mine);
}

static void show_nodes(void)
{
	struct bitmask *cpus;
	int node, most;

	if (numa_available() < 0) {
		printf("nodes: 1, the kernel knows no NUMA\n");
		return;
	}
	printf("nodes: %d\n", numa_num_configured_nodes());
	most = numa_max_node();
	cpus = numa_allocate_cpumask();
	for (node = 0; node <= most; node++) {
		long long bytes = numa_node_size64(node, NULL);

		if (bytes < 0 || numa_node_to_cpus(node, cpus) < 0)
			continue;
		printf("node %d: %lld MiB, CPUs ", node, bytes >> 20);
		print_cpus(cpus);
		putchar('\n');
	}
	numa_bitmask_free(cpus);
}

static unsigned long read_number(const char *path)
{
	unsigned long value = 0;
	FILE *file = fopen(path, "re");

	if (!file)
		return 0;
	if (fscanf(file, "%lu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

/* The one limit that all processes of the machine share. */
static const char *aio_limit(void)
{
	static char text[96];

	snprintf(text, sizeof(text),
		 ", %lu of %lu events taken on this machine (fs.aio-max-nr)",
		 read_number("/proc/sys/fs/aio-nr"),
		 read_number("/proc/sys/fs/aio-max-nr"));
	return text;
}

/* The one of a user, which pools and rings count against; not root's. */
static const char *pin_limit(void)
{
	static char text[128];
	struct rlimit limit;

	if (!geteuid() || getrlimit(RLIMIT_MEMLOCK, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return "";
	snprintf(text, sizeof(text),
		 ", within %llu KiB of memory (RLIMIT_MEMLOCK; 16 MiB a core unless a program asks for less)",
		 (unsigned long long)limit.rlim_cur >> 10);
	return text;
}

static void show_backends(void)
{
	enum pirn_backend b;
	char reason[256];

	for (b = PIRN_BACKEND_AUTO + 1; b < PIRN_BACKEND_LAST; b++) {
		int err = pirn_backend_probe(b, reason, sizeof(reason));

		if (err < 0)
			printf("%s: no, %s\n", pirn_backend_name(b),
			       reason[0] ? reason : strerror(-err));
		else
			printf("%s: usable%s\n", pirn_backend_name(b),
			       b == PIRN_BACKEND_AIO ? aio_limit() :
			       b == PIRN_BACKEND_KMOD ? pin_limit() : "");
	}
}

static const struct {
	enum pirn_backend backend;
	const char *what;
} lost[] = {
	{ PIRN_BACKEND_URING,
	  "registered files and buffers; each op looks up its file and pins its pages" },
	{ PIRN_BACKEND_URING,
	  "asynchronous buffered IO, and waiting for blocks or a place in a queue; each such op has a helper thread until it ends" },
	{ PIRN_BACKEND_URING,
	  "a depth of one's own; io_depth of every core counts against fs.aio-max-nr" },
	{ PIRN_BACKEND_KMOD,
	  "completions published from interrupt context into memory pinned once; block devices cost more instructions" },
};

/*
 * What a program that leaves the choice to the library gets here, and what it
 * would have with each better backend.
 */
static void show_auto(void)
{
	enum pirn_backend b = PIRN_BACKEND_AUTO + 1;
	size_t i;

	while (b <= PIRN_BACKEND_AIO && pirn_backend_probe(b, NULL, 0))
		b++;
	if (b > PIRN_BACKEND_AIO) {
		printf("auto: none, a program cannot start\n");
		return;
	}
	printf("auto: %s\n", pirn_backend_name(b));
	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		if (lost[i].backend < b)
			printf("lost without %s: %s\n",
			       pirn_backend_name(lost[i].backend), lost[i].what);
	}
	printf("helper threads: %u a runtime, unless it asks for others\n",
	       PIRN_HELPER_THREADS);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)state;
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	args_bad("takes no arguments, and got '%s'", arg);
}

int info_command(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.doc = "Shows the kernel, the module, the library, the cores and "
		       "memory nodes this process may use, which backends work "
		       "here, which one is used unless another is asked for, "
		       "and what is lost without a better one.",
	};

	args_parse(&argp, argc, argv, 0, NULL);
	show_kernel();
	show_module();
	printf("library: %s, ABI %u\n", PIRN_VERSION, PIRN_ABI_VERSION);
	show_cores();
	show_nodes();
	show_backends();
	show_auto();
	return 0;
}
