/*
 * Runs a fuzz target over files instead of a fuzzer.
 *
 * libFuzzer belongs to clang, and a fuzzer finds nothing in the minute that a test run has. What it
 * found in an hour lies in tests/fuzz/corpus as files, and those must never break again: this main
 * feeds every file of the directories (or files) named on the command line to the target, with any
 * compiler. An empty corpus proves nothing and is therefore an error. The input is copied to a
 * block of exactly its size, so that valgrind and the sanitizers see a read behind its end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
die(const char *what, const char *path)
{
	fprintf(stderr, "replay: %s '%s': %s\n", what, path, strerror(errno));
	exit(2);
}

static void
replay_file(const char *path)
{
	struct stat st;
	uint8_t *bytes;
	size_t have = 0;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		die("open", path);
	/* One byte more than nothing, because malloc(0) may be NULL and that is another input. */
	bytes = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
	if (bytes == NULL)
		die("no memory for", path);
	while (have < (size_t)st.st_size) {
		ssize_t n = read(fd, bytes + have, (size_t)st.st_size - have);
		if (n <= 0)
			die("read", path);
		have += (size_t)n;
	}
	close(fd);
	/* Said before, not after: when the target crashes, the last line names the file. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(bytes, have);
	free(bytes);
}

static unsigned
replay(const char *path)
{
	char name[PATH_MAX];
	struct stat st;
	struct dirent *de;
	unsigned n = 0;
	DIR *dir;

	if (stat(path, &st) == -1)
		die("stat", path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path);
		return 1;
	}
	dir = opendir(path);
	if (dir == NULL)
		die("open", path);
	while ((de = readdir(dir)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, de->d_name) >= (int)sizeof(name)) {
			errno = ENAMETOOLONG;
			die("open", path);
		}
		n += replay(name);
	}
	closedir(dir);
	return n;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (replay(argv[i]) == 0) {
			fprintf(stderr, "replay: corpus '%s' is empty\n", argv[i]);
			return 2;
		}
	}
	return argc > 1 ? 0 : 2;
}
