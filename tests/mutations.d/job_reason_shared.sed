# SPDX-License-Identifier: MIT
# A helper thread writes the reason of its core, which another fiber may read.
# file: lib/host_file.c
# test: native helper/each_fiber*
s/vsnprintf(job->why, sizeof(job->why), format, args);/vsnprintf(job->job.core->reason, sizeof(job->why), format, args);/
s/pirn_fail(core, job->result, "%s", job->why)/job->result/
