// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dispatcher: sizes of structs, what is copied, and that a call which cannot
 * hand back its answer has changed nothing.
 */
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>

#include "ctl.c"
#include "fixture.h"

/* Of whoever loads the module: one page, with nothing behind it. */
static struct mm_struct *ctl_mm;
static unsigned long ctl_page;

static unsigned long ctl_map(unsigned long addr, unsigned long flags)
{
	return vm_mmap(NULL, addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_PRIVATE | flags, 0);
}

static struct {
	int	prepared, committed, aborted;
	long	result;
	bool	unmap;
	struct pirn_target_attach seen;
} ctl_log;

static long ctl_prepare(struct pirn_call *call)
{
	ctl_log.prepared++;
	ctl_log.seen = call->arg.target_attach;
	call->arg.target_attach.index = 42;
	if (ctl_log.unmap)
		vm_munmap(ctl_page, PAGE_SIZE);
	return ctl_log.result;
}

static long ctl_commit(struct pirn_call *call)
{
	ctl_log.committed++;
	return 7;
}

static void ctl_abort(struct pirn_call *call)
{
	ctl_log.aborted++;
}

/* A call like TARGET_ATTACH, had it been longer in the version compiled here. */
static const struct pirn_ioctl ctl_ioctl = {
	PIRN_SIZES(pirn_target_attach, index),
	.out = true,
	.prepare = ctl_prepare,
	.commit = ctl_commit,
	.abort = ctl_abort,
};

#define CTL_MIN		offsetofend(struct pirn_target_attach, index)
#define CTL_SIZE	((u32)sizeof(struct pirn_target_attach))

static int ctl_suite_init(struct kunit_suite *suite)
{
	/* Two pages, and the second one taken away again. */
	ctl_page = vm_mmap(NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_ANONYMOUS | MAP_PRIVATE, 0);
	if (IS_ERR_VALUE(ctl_page))
		return ctl_page;
	vm_munmap(ctl_page + PAGE_SIZE, PAGE_SIZE);
	ctl_mm = current->mm;
	mmget(ctl_mm);
	return 0;
}

static void ctl_suite_exit(struct kunit_suite *suite)
{
	vm_munmap(ctl_page, PAGE_SIZE);
	mmput(ctl_mm);
}

/* Cases run in a kernel thread, which has no user memory but by this. */
static int ctl_init(struct kunit *test)
{
	kthread_use_mm(ctl_mm);
	memset(&ctl_log, 0, sizeof(ctl_log));
	KUNIT_EXPECT_EQ(test, clear_user((void __user *)ctl_page,
					 PAGE_SIZE), 0);
	return 0;
}

static void ctl_exit(struct kunit *test)
{
	kthread_unuse_mm(ctl_mm);
}

static long ctl_call(struct kunit *test, u32 size)
{
	KUNIT_EXPECT_EQ(test, put_user(size, (u32 __user *)ctl_page), 0);
	return pirn_dispatch(&ctl_ioctl, NULL, (void __user *)ctl_page);
}

static u32 ctl_index(struct kunit *test)
{
	struct pirn_target_attach __user *user = (void __user *)ctl_page;
	u32 index = 0;

	KUNIT_EXPECT_EQ(test, get_user(index, &user->index), 0);
	return index;
}

static void ctl_sizes(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, ctl_call(test, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_MIN - 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, ctl_call(test, PAGE_SIZE + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, ctl_call(test, U32_MAX), -E2BIG);
	KUNIT_EXPECT_EQ(test, ctl_log.prepared, 0);
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_MIN), 7);
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_SIZE), 7);
	KUNIT_EXPECT_EQ(test, ctl_call(test, PAGE_SIZE), 7);
	KUNIT_EXPECT_EQ(test, ctl_log.committed, 3);
	KUNIT_EXPECT_EQ(test, ctl_log.aborted, 0);
}

/* Of an older caller: what its struct lacks is zero, and is not written. */
static void ctl_short_struct(struct kunit *test)
{
	struct pirn_target_attach __user *user = (void __user *)ctl_page;
	u64 bytes = 0;

	KUNIT_EXPECT_EQ(test, put_user(99ull, &user->bytes), 0);
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_MIN), 7);
	KUNIT_EXPECT_EQ(test, ctl_log.seen.bytes, 0);
	KUNIT_EXPECT_EQ(test, ctl_index(test), 42);
	KUNIT_EXPECT_EQ(test, get_user(bytes, &user->bytes), 0);
	KUNIT_EXPECT_EQ(test, bytes, 99);
}

/* Of a newer one: fields not known here must be zero. */
static void ctl_long_struct(struct kunit *test)
{
	u8 __user *tail = (u8 __user *)ctl_page + CTL_SIZE;

	KUNIT_EXPECT_EQ(test, put_user((u8)1, tail), 0);
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_SIZE + 1), -E2BIG);
	KUNIT_EXPECT_EQ(test, ctl_log.prepared, 0);
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_SIZE), 7);
}

static void ctl_error_of_prepare(struct kunit *test)
{
	ctl_log.result = -EBUSY;
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_SIZE), -EBUSY);
	KUNIT_EXPECT_EQ(test, ctl_log.committed + ctl_log.aborted, 0);
	KUNIT_EXPECT_EQ(test, ctl_index(test), 0);
}

static void ctl_memory_that_cannot_be_read(struct kunit *test)
{
	u32 __user *end = (u32 __user *)(ctl_page + PAGE_SIZE) - 1;

	KUNIT_EXPECT_EQ(test, pirn_dispatch(&ctl_ioctl, NULL, NULL), -EFAULT);
	/* Of the struct only the size is there. */
	KUNIT_EXPECT_EQ(test, put_user(CTL_SIZE, end), 0);
	KUNIT_EXPECT_EQ(test, pirn_dispatch(&ctl_ioctl, NULL, end), -EFAULT);
	KUNIT_EXPECT_EQ(test, ctl_log.prepared, 0);
}

/* The memory goes away while the call is under way. */
static void ctl_answer_that_cannot_be_written(struct kunit *test)
{
	ctl_log.unmap = true;
	KUNIT_EXPECT_EQ(test, ctl_call(test, CTL_SIZE), -EFAULT);
	KUNIT_EXPECT_EQ(test, ctl_log.prepared, 1);
	KUNIT_EXPECT_EQ(test, ctl_log.aborted, 1);
	KUNIT_EXPECT_EQ(test, ctl_log.committed, 0);
	KUNIT_EXPECT_EQ(test, ctl_map(ctl_page, MAP_FIXED), ctl_page);
}

static void ctl_numbers(struct kunit *test)
{
	unsigned int nr = ARRAY_SIZE(pirn_channel_ioctls), i;

	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_PTR_EQ(test,
				    pirn_find(pirn_channel_ioctls, nr,
					      pirn_channel_ioctls[i].cmd),
				    &pirn_channel_ioctls[i]);
	KUNIT_EXPECT_NULL(test, pirn_find(pirn_channel_ioctls, nr,
					  PIRN_IOC_QUERY));
	KUNIT_EXPECT_EQ(test, pirn_dev_ioctl(NULL, PIRN_IOC_TARGET_ATTACH,
					     ctl_page), -ENOTTY);
	KUNIT_EXPECT_EQ(test, pirn_dev_ioctl(NULL, PIRN_IOC_QUERY,
					     ctl_page), -EINVAL);
}

static struct kunit_case ctl_cases[] = {
	KUNIT_CASE(ctl_sizes),
	KUNIT_CASE(ctl_short_struct),
	KUNIT_CASE(ctl_long_struct),
	KUNIT_CASE(ctl_error_of_prepare),
	KUNIT_CASE(ctl_memory_that_cannot_be_read),
	KUNIT_CASE(ctl_answer_that_cannot_be_written),
	KUNIT_CASE(ctl_numbers),
	{}
};

static struct kunit_suite ctl_suite = {
	.name = "pirn_ctl",
	.suite_init = ctl_suite_init,
	.suite_exit = ctl_suite_exit,
	.init = ctl_init,
	.exit = ctl_exit,
	.test_cases = ctl_cases,
};

kunit_test_suite(ctl_suite);
