# SPDX-License-Identifier: MIT
#
# make                 library and command (and pirn.ko when KDIR= is given)
# make module KDIR=D   pirn.ko against the kernel headers at D
# make tests           the test programs
# make check           run them natively
# make check-static    sparse and checkpatch on the kernel half
# make install         DESTDIR=, PREFIX=/usr/local, LIBDIR=PREFIX/lib
# make dkms-install    the module on this machine, with udev rule and manual page
# make dkms-remove     all of that away again
#
# SAN=address|undefined|thread (or address,undefined) builds a variant of its
# own under build/SAN; DEBUG=1 one that knows the depth of stacks to
# the byte, under build/debug.  tests/aarch64 builds for another machine.  Kbuild
# beside this file is the module's; the object lists of the rest are in lib/,
# tools/ and tests/.

CC	?= gcc
AR	?= ar
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
DESTDIR	?=
SAN	?=
DEBUG	?=
V	?=
Q	:= $(if $(V),,@)

VERSION	:= $(shell sed -n 's/^.define PIRN_VERSION "\(.*\)"/\1/p' include/pirn.h)
SOVER	:= 0

B	:= build/$(if $(SAN),$(SAN)$(if $(DEBUG),-debug),$(if $(DEBUG),debug,plain))
# x86_64 or aarch64: whose assembly files are used
ARCH	:= $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

WARN	:= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	   -Wpointer-arith -Wundef -Wvla
OPT	:= $(if $(SAN),-O1 -fno-omit-frame-pointer -fsanitize=$(SAN) \
	   -fno-sanitize-recover=all,-O2)
CFLAGS	?= -g
CPPFLAGS ?=
LDFLAGS	?=
ALL_CFLAGS := -std=gnu11 $(OPT) $(CFLAGS) $(WARN) -Iinclude -Iinclude/uapi \
	      -D_GNU_SOURCE $(if $(DEBUG),-DPIRN_DEBUG) -MMD -MP $(CPPFLAGS)
ALL_LDFLAGS := $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)
LIBS	:= -luring -lnuma -lpthread

all: library command $(if $(KDIR),module)

include lib/Makefile
include tools/Makefile
include tests/Makefile

$(B)/%.o: %.c
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  CC      $@")
	$(Q)$(CC) $(ALL_CFLAGS) $(OBJ_CFLAGS) -c -o $@ $<

$(B)/%.o: %.S
	$(Q)mkdir -p $(@D)
	$(if $(Q),@echo "  AS      $@")
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The module is built in build/module/RELEASE, on links to the sources: objects of
# two kernels never meet.
module:
	@test -n "$(KDIR)" || { echo "make module: KDIR= is not set; give the headers of the kernel to build for, as in KDIR=/lib/modules/\$$(uname -r)/build" >&2; exit 2; }
	@test -f "$(KDIR)/Makefile" || { echo "make module: no kernel headers at KDIR=$(KDIR)" >&2; exit 2; }
	$(Q)release=$$(sed -n 's/.*UTS_RELEASE "\(.*\)"/\1/p' \
			"$(KDIR)/include/generated/utsrelease.h") && \
		dir=build/module/$$release && mkdir -p $$dir/kmod && \
		find $$dir/kmod -type l -delete && \
		ln -srf kmod/*.[ch] $$dir/kmod/ && \
		ln -srfn Kbuild include $$dir/ && \
		$(MAKE) $(if $(V),,-s) -C "$(KDIR)" M="$(CURDIR)/$$dir" \
			KCFLAGS=-Werror CONFIG_DEBUG_INFO_BTF_MODULES= modules

clean:
	rm -rf build/plain build/address build/undefined build/thread \
		build/address,undefined build/module build/demo build/all \
		build/mutants build/debug build/aarch64
	rm -f pirn.ko pirn.mod pirn.mod.c pirn.mod.o pirn.o modules.order Module.symvers
	find kmod -name '*.o' -o -name '.*.cmd' | xargs -r rm -f
	rm -f .*.cmd

.PHONY: all library command module clean
.DELETE_ON_ERROR:
