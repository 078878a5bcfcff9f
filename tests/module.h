/* SPDX-License-Identifier: MIT */
/*
 * The module unloaded and loaded again: $PIRN_KO, or the one tests/vm/run
 * loaded. As root in a virtual machine.
 */
#ifndef PIRN_TESTS_MODULE_H
#define PIRN_TESTS_MODULE_H

#include <sys/syscall.h>
#include <sys/utsname.h>

#include "device.h"

static inline int module_unload(void)
{
	return (int)syscall(SYS_delete_module, "pirn", O_NONBLOCK);
}

static inline void module_load(void)
{
	const char *path = getenv("PIRN_KO");
	char found[256];
	struct utsname name;
	int fd;

	if (!path) {
		must(uname(&name));
		snprintf(found, sizeof(found), "build/module/%s/pirn.ko", name.release);
		path = found;
	}
	fd = must(open(path, O_RDONLY | O_CLOEXEC));
	must((int)syscall(SYS_finit_module, fd, "", 0));
	close(fd);
	for (fd = 0; access("/dev/pirn", F_OK) && fd < 100; fd++)
		nap_ms(20);
	must(access("/dev/pirn", F_OK));
}

/* Refused while something is alive; may take a moment longer than its end. */
static inline void await_unload(void)
{
	int i;

	for (i = 0; module_unload() && i < 200; i++) {
		check(errno == EAGAIN || errno == EBUSY || errno == EWOULDBLOCK);
		nap_ms(50);
	}
	check(access("/sys/module/pirn", F_OK) && errno == ENOENT);
}

static inline void cannot_unload(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		check_eq(module_unload(), -1);
		check(errno == EAGAIN || errno == EWOULDBLOCK || errno == EBUSY);
	}
}

#endif /* PIRN_TESTS_MODULE_H */
