/*
 * libpq and libarchive bring 35 libraries with them, and of the 8 ms of a call that has nothing to
 * do, 7 went into loading these. Their types still come from their own headers, so the compiler
 * checks every call as before; only the linker does not see them, and a missing one is told here.
 */
#include "base/lazy.h"

#include <dlfcn.h>

#include "base/mem.h"

static void __attribute__((noreturn))
give_up(const char *soname)
{
	const char *why = dlerror();

	mem_end(xasprintf("ffdr: %s cannot be loaded: %s\n  fix       install it: ffdr depends on "
	    "it\n", soname, why ? why : "it gives no reason"));
}

void
lazy_load(const char *soname, const char *const *name, void **symbol, size_t count)
{
	void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		give_up(soname);
	for (size_t i = 0; i < count; i++) {
		symbol[i] = dlsym(library, name[i]);
		if (!symbol[i])
			give_up(soname);
	}
}
