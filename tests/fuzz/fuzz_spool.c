/*
 * A file of a spool: the input as its name, as all of it, and behind a sound header. Nothing that was
 * not sealed by us may come out as WAL, and the walk must end.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "repo/spool_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct keyring *keys;
static struct spool_file_head head;
static int fd = -1;
static char file[] = "/tmp/fuzz-spool-XXXXXX";

static void
remove_file(void)
{
	unlink(file);
}

static void
prepare(void)
{
	static const uint8_t id[LAYOUT_REPO_ID];

	keys = keyring_new(id);
	keyring_add_epoch(keys, 0);
	head = (struct spool_file_head){ .sysid = 77, .epoch = 2, .tli = 1, .segment_size = 1 << 20 };
	if (spool_file_head_make(&head, keys, NULL) == -1)
		abort();
	fd = mkstemp(file);
	if (fd == -1)
		abort();
	atexit(remove_file);
}

static void
names(const uint8_t *data, size_t n)
{
	char *name = xstrndup((const char *)data, n), again[SPOOL_FILE_NAME];
	struct spool_file_name parts;

	if (spool_file_name_parse(name, &parts) == 0 &&
	    strcmp(spool_file_name(&parts, again), name) != 0)
		abort();
	free(name);
}

/* What the file holds now. */
static void
walk(void)
{
	struct spool_file f;
	struct err e = { 0 };
	struct buf wal;

	if (spool_file_open(&f, AT_FDCWD, file, keys, &e) == -1)
		return;
	buf_init(&wal, 1 << 20);
	if (spool_file_next(&f, &wal, &e) == 1 || wal.len > 0)
		abort();
	/* Headers alone may look right; what they claim stays inside the segment and the file. */
	if (spool_file_end(&f, &e) == 0 && (f.lsn - f.head.start > f.head.segment_size ||
	    f.off > (uint64_t)lseek(fd, 0, SEEK_END)))
		abort();
	buf_done(&wal);
	spool_file_close(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (keys == NULL)
		prepare();
	names(data, n);
	if (ftruncate(fd, 0) == -1 || file_pwrite(fd, data, n, 0, NULL) == -1)
		return 0;
	walk();
	if (ftruncate(fd, 0) == -1 ||
	    file_pwrite(fd, head.bytes, sizeof(head.bytes), 0, NULL) == -1 ||
	    file_pwrite(fd, data, n, sizeof(head.bytes), NULL) == -1)
		return 0;
	walk();
	return 0;
}
