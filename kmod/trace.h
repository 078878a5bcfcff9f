/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: an op when its SQE has been read, when it goes to the block layer,
 * and when it has ended; and a core that is woken.  What belongs together has the
 * same channel and cookie.  Times are the tracer's own.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pirn

#if !defined(PIRN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define PIRN_TRACE_H

#include <linux/tracepoint.h>
#include <linux/pirn.h>

#define pirn_show_op(op)				\
	__print_symbolic(op,				\
			 { PIRN_OP_NOP, "NOP" },	\
			 { PIRN_OP_READ, "READ" },	\
			 { PIRN_OP_WRITE, "WRITE" },	\
			 { PIRN_OP_FSYNC, "FSYNC" },	\
			 { PIRN_OP_JOIN, "JOIN" },	\
			 { PIRN_OP_FDATASYNC, "FDATASYNC" },	\
			 { PIRN_OP_FALLOCATE, "FALLOCATE" },	\
			 { PIRN_OP_DISCARD, "DISCARD" })

/* ENTER has read an SQE; err is what its op ends with at once, or 0. */
TRACE_EVENT(pirn_submit,
	    TP_PROTO(const struct pirn_op *op, int err),
	    TP_ARGS(op, err),
	    TP_STRUCT__entry(__field(const void *, channel)
			     __field(u64, cookie)
			     __field(u64, offset)
			     __field(u32, len)
			     __field(u32, cpu)
			     __field(int, err)
			     __field(u8, op)
			     __field(bool, member)
	    ),
	    TP_fast_assign(__entry->channel = op->channel;
			   __entry->cookie = op->cookie;
			   __entry->offset = op->offset;
			   __entry->len = op->len;
			   __entry->cpu = op->channel->cpu;
			   __entry->err = err;
			   __entry->op = op->code;
			   __entry->member = op->join;
	    ),
	    TP_printk("channel=%p cpu=%u cookie=0x%llx op=%s offset=%llu len=%u member=%d err=%d",
		      __entry->channel, __entry->cpu, __entry->cookie,
		      pirn_show_op(__entry->op), __entry->offset, __entry->len,
		      __entry->member, __entry->err)
);

/* A bio goes to the block layer, or a read or write to the file's own code. */
TRACE_EVENT(pirn_issue,
	    TP_PROTO(const struct pirn_op *op, bool file),
	    TP_ARGS(op, file),
	    TP_STRUCT__entry(__field(const void *, channel)
			     __field(u64, cookie)
			     __field(u64, sector)
			     __field(u32, len)
			     __field(dev_t, dev)
			     __field(u8, op)
			     __field(bool, nowait)
			     __field(bool, file)
	    ),
	    TP_fast_assign(__entry->channel = op->channel;
			   __entry->cookie = op->cookie;
			   __entry->sector = op->offset >> SECTOR_SHIFT;
			   __entry->len = op->len;
			   __entry->dev = op->target->dev;
			   __entry->op = op->code;
			   __entry->nowait = op->nowait;
			   __entry->file = file;
	    ),
	    TP_printk("channel=%p cookie=0x%llx op=%s dev=%d,%d sector=%llu len=%u nowait=%d file=%d",
		      __entry->channel, __entry->cookie, pirn_show_op(__entry->op),
		      MAJOR(__entry->dev), MINOR(__entry->dev), __entry->sector,
		      __entry->len, __entry->nowait, __entry->file)
);

/* An op has ended: its CQE, or its result slot, is about to be written. */
TRACE_EVENT(pirn_complete,
	    TP_PROTO(const struct pirn_op *op, s32 res, u64 device),
	    TP_ARGS(op, res, device),
	    TP_STRUCT__entry(__field(const void *, channel)
			     __field(u64, cookie)
			     __field(u64, device)
			     __field(s32, res)
			     __field(u8, op)
			     __field(bool, member)
	    ),
	    TP_fast_assign(__entry->channel = op->channel;
			   __entry->cookie = op->cookie;
			   __entry->device = device;
			   __entry->res = res;
			   __entry->op = op->code;
			   __entry->member = op->join;
	    ),
	    TP_printk("channel=%p cookie=0x%llx op=%s res=%d device=%llu member=%d",
		      __entry->channel, __entry->cookie, pirn_show_op(__entry->op),
		      __entry->res, __entry->device, __entry->member)
);

/* A core asleep in ENTER is woken, by a completion or a NOTIFY. */
TRACE_EVENT(pirn_wake,
	    TP_PROTO(const struct pirn_channel *ch, const struct task_struct *task),
	    TP_ARGS(ch, task),
	    TP_STRUCT__entry(__field(const void *, channel)
			     __field(u32, cpu)
			     __field(pid_t, pid)
	    ),
	    TP_fast_assign(__entry->channel = ch;
			   __entry->cpu = ch->cpu;
			   __entry->pid = task->pid;
	    ),
	    TP_printk("channel=%p cpu=%u pid=%d", __entry->channel, __entry->cpu,
		      __entry->pid)
);

#endif /* PIRN_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
