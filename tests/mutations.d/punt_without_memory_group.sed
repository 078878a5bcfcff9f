# SPDX-License-Identifier: MIT
# The worker forgets whose memory it takes.
# file: kmod/worker.c
# test: files files_rights/memory_of*
s/set_active_memcg(mem_cgroup_from_css(own_memcg))/set_active_memcg(NULL)/
