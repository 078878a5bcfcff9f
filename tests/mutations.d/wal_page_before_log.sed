# SPDX-License-Identifier: MIT
# A change is in its page, and may be written, before it is in the log.
# file: tools/wal/log.c
# test: native wal_sim/no_fault*
s/^\tseal(s, used);/\tfor (c = taken; c; c = c->next) {\n\t\tfor (unsigned int k = 0; k < c->n; k++)\n\t\t\tc->frame[k]->pins++;\n\t\tapply(s, c);\n\t}\n\tseal(s, used);/
