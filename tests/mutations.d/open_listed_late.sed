# SPDX-License-Identifier: MIT
# A file is listed when it is open: one that is being opened when the runtime
# ends is never closed.
# file: lib/file.c
# test: native helper/a_file_opened*
/^int pirn_open/,/^}/{
s/^\tfile_list(core->rt, file);$//
s/^\t\tfile_forget(file);$/\t\tfree(file);/
s/^\t\*out = file;$/\tfile_list(core->rt, file);\n&/
}
