# SPDX-License-Identifier: MIT
# Pools and rings are in a dump of the process.
# file: kmod/memory.c
# test: direct rights/mappings*
/^int pirn_mmap_pages/,/^}/s/VM_DONTCOPY |/VM_DONTCOPY);/;/^int pirn_mmap_pages/,/^}/s/^\t*VM_DONTDUMP);$//
