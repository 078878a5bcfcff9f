/* SPDX-License-Identifier: MIT */
/* What the tests of ports share. */
#ifndef PIRN_TESTS_PORT_H
#define PIRN_TESTS_PORT_H

#include <pirn/message.h>

#include "helpers.h"

#define POLL_NS 50000u

/* The port under test. */
static struct pirn_port port;

static inline int open_8(void *arg)
{
	return pirn_port_open(&port, 8, *(uint32_t *)arg);
}

static inline int free_port(void *arg)
{
	return pirn_port_free(*(struct pirn_port *)arg);
}

/* Runs fn(arg) on @core; what it returned. */
static inline int on(unsigned int core, int (*fn)(void *arg), void *arg)
{
	int result;

	check_eq(pirn_call(core, fn, arg, &result), 0);
	return result;
}

static inline void open_on(unsigned int core, uint32_t capacity)
{
	check_eq(on(core, open_8, &capacity), 0);
	check_eq(port.core, core);
}

static inline int send_one(void *arg)
{
	return pirn_port_send(port, arg, 8);
}

static inline int receive_one(void *arg)
{
	return pirn_port_receive(port, arg, 8);
}

#endif /* PIRN_TESTS_PORT_H */
