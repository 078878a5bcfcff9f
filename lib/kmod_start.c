// SPDX-License-Identifier: MIT
/*
 * Backend kmod, before the first read and after the last: the device is asked
 * whether it speaks our ABI, a core's channel is made and mapped, and closed.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend.h"
#include "kmod.h"

#define DEVICE "/dev/pirn"

/* What to do about it. */
static const char *open_hint(int err)
{
	if (err == -EACCES || err == -EPERM)
		return " (root and the device's group may: adduser USER pirn, and log in anew)";
	if (err != -ENOENT && err != -ENXIO)
		return "";
	return access("/sys/module/pirn", F_OK) ?
	       " (the module pirn is not loaded: modprobe pirn)" :
	       " (the module pirn is loaded, but this container does not have the device)";
}

static int device_open(char *why, size_t why_bytes)
{
	struct pirn_query query = { .size = sizeof(query) };
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), err;

	if (fd < 0) {
		err = -errno;
		snprintf(why, why_bytes, "%s: %s%s", DEVICE, strerror(-err),
			 open_hint(err));
		return err;
	}
	if (ioctl(fd, PIRN_IOC_QUERY, &query)) {
		err = -errno;
		snprintf(why, why_bytes, "%s: QUERY: %s", DEVICE,
			 strerror(-err));
	} else if (query.abi_version != PIRN_ABI_VERSION) {
		err = -EPROTO;
		snprintf(why, why_bytes,
			 "the module speaks ABI %u, this library ABI %u",
			 query.abi_version, PIRN_ABI_VERSION);
	} else {
		return fd;
	}
	close(fd);
	return err;
}

int pirn_kmod_probe(char *why, size_t why_bytes)
{
	int fd = device_open(why, why_bytes);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* ------------------------------------------------------------ start, stop */

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

/* How many may be open at once on a channel of that depth; beyond, ops go alone. */
static uint32_t joins_of(uint32_t depth)
{
	uint32_t most = PIRN_MAX_RESULTS / PIRN_JOIN_OPS;

	return depth / 4 < most ? depth / 4 : most;
}

static int joins_make(struct kmod *k)
{
	uint32_t nr = k->ring->results / PIRN_JOIN_OPS;

	k->joins = calloc(nr ? nr : 1, sizeof(*k->joins));
	if (!k->joins)
		return -ENOMEM;
	while (nr--) {
		k->joins[nr].next = k->free_joins;
		k->free_joins = &k->joins[nr];
	}
	return 0;
}

static int channel_open(struct pirn_core *core, struct kmod *k, char *why,
			size_t why_bytes)
{
	uint32_t depth = power_of_two(core->rt->opt.io_depth);
	struct pirn_channel_create create = {
		.size = sizeof(create), .sq_entries = depth,
		.cq_entries = depth, .cpu = (uint32_t)core->cpu,
		.results = joins_of(depth) * PIRN_JOIN_OPS,
		.flags = core->times ? PIRN_CHANNEL_TIMES : 0,
	};
	int err;

	k->channel = ioctl(k->device, PIRN_IOC_CHANNEL_CREATE, &create);
	if (k->channel < 0) {
		err = -errno;
		snprintf(why, why_bytes,
			 "no channel of %u entries for CPU %d: %s%s", depth,
			 core->cpu, strerror(-err), err == -ENOMEM ?
			 " (RLIMIT_MEMLOCK counts rings too)" : "");
		return err;
	}
	k->map_bytes = create.mmap_bytes;
	k->ring = mmap(NULL, k->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		       k->channel, 0);
	if (k->ring == MAP_FAILED) {
		err = -errno;
		snprintf(why, why_bytes, "mapping the rings: %s",
			 strerror(-err));
		close(k->channel);
		return err;
	}
	if (k->ring->magic != PIRN_RING_MAGIC ||
	    k->ring->version != PIRN_RING_VERSION) {
		snprintf(why, why_bytes, "the rings are of version %u, not %u",
			 k->ring->version, PIRN_RING_VERSION);
		munmap(k->ring, k->map_bytes);
		close(k->channel);
		return -EPROTO;
	}
	return 0;
}

int pirn_kmod_core_start(struct pirn_core *core, char *why, size_t why_bytes)
{
	struct kmod *k = calloc(1, sizeof(*k));
	int err;

	if (!k)
		return -ENOMEM;
	k->device = device_open(why, why_bytes);
	if (k->device < 0) {
		err = k->device;
		goto err_free;
	}
	err = channel_open(core, k, why, why_bytes);
	if (err)
		goto err_close;
	err = joins_make(k);
	if (err)
		goto err_channel;
	k->results = (void *)((char *)k->ring + k->ring->results_offset);
	k->sq = (void *)((char *)k->ring + k->ring->sq_offset);
	k->cq = (void *)((char *)k->ring + k->ring->cq_offset);
	k->sq_mask = k->ring->sq_entries - 1;
	k->cq_mask = k->ring->cq_entries - 1;
	k->depth = core->rt->opt.io_depth;
	core->backend = k;
	return 0;

err_channel:
	munmap(k->ring, k->map_bytes);
	close(k->channel);
err_close:
	close(k->device);
err_free:
	free(k);
	return err;
}

void pirn_kmod_core_stop(struct pirn_core *core)
{
	struct kmod *k = core->backend;

	if (!k)
		return;
	munmap(k->ring, k->map_bytes);
	close(k->channel);
	close(k->device);
	free(k->joins);
	free(k);
	core->backend = NULL;
}
