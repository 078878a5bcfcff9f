/* SPDX-License-Identifier: MIT */
/* A disk that takes what is asked for and ends none of it until it is told to. */
#ifndef PIRN_TESTS_HUNG_DISK_H
#define PIRN_TESTS_HUNG_DISK_H

#include "device.h"

static inline void shell(const char *command)
{
	int status = system(command);

	if (status)
		check_failed(__FILE__, __LINE__, "%s: status %d", command, status);
}

/* A part of the fast disk. */
#define HUNG_DISK "/dev/mapper/pirn-hung"

static inline void hung_disk_make(void)
{
	shell("modprobe dm_mod && dmsetup create pirn-hung --noudevsync "
	      "--table '0 8192 linear " FAST_DISK " 0'");
	shell("dmsetup mknodes pirn-hung");
}

static inline void hung_disk_hangs(void)
{
	shell("dmsetup suspend --noudevsync --noflush pirn-hung");
}

static inline void hung_disk_goes_on(void)
{
	shell("dmsetup resume --noudevsync pirn-hung");
}

static inline void hung_disk_remove(void)
{
	shell("dmsetup remove --noudevsync --retry pirn-hung");
}

#endif /* PIRN_TESTS_HUNG_DISK_H */
