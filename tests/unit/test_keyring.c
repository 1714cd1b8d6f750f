#include "repo/keyring.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "filter/key.h"
#include "tests/lib/repokit.h"
#include "tests/lib/vector.h"

static struct kek
kek_of(enum kek_kind kind, const void *bytes, size_t n)
{
	struct kek k = { .kind = kind };

	buf_init(&k.secret, 8192);
	buf_add(&k.secret, bytes, n);
	return k;
}

static struct kek
random_kek(void)
{
	uint8_t key[KEY_LEN];

	key_random(key, sizeof(key));
	return kek_of(KEK_KEY, key, sizeof(key));
}

/* A host that knows the repository and who may sign, and nothing else. */
static struct keyring *
other_host(const struct keyring *k)
{
	struct keyring *o = keyring_new(k->repo_id);

	for (size_t i = 0; i < k->signers; i++)
		keyring_add_signer(o, k->signer[i].pub, k->signer[i].from_ns);
	return o;
}

static void
write_object(struct keyring *k, const struct kek *kek, const char *escrow, char *name,
    struct buf *text)
{
	struct err e = { 0 };

	buf_init(text, KEYRING_TEXT_MAX);
	if (keyring_object(k, keyring_current(k), kek, escrow, name, text, &e) == -1)
		fail_msg("%s", e.text);
}

static void
assert_same_keys(const struct keyring *a, const struct keyring *b)
{
	const struct keyring_epoch *ea = keyring_current(a), *eb = keyring_current(b);

	assert_non_null(eb);
	assert_memory_equal(ea->epoch, eb->epoch, LAYOUT_EPOCH);
	assert_memory_equal(ea->data, eb->data, 32);
	assert_memory_equal(ea->salt, eb->salt, 32);
	assert_memory_equal(a->id.key, b->id.key, 32);
	assert_true(ea->created_ns == eb->created_ns);
}

static void
a_key_object_gives_its_keys_to_who_has_the_kek(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k);
	struct kek kek = random_kek();
	char name[LAYOUT_NAME], ours[KEK_RECIPIENT];
	struct buf text;
	struct err e = { 0 };

	(void)state;
	write_object(k, &kek, NULL, name, &text);
	assert_int_equal(keyring_recipient(k, &kek, ours, &e), 0);
	assert_non_null(strstr(name, ours));
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), 1);
	assert_same_keys(k, o);
	/* Once more, as another tier would bring it: nothing doubles. */
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), 1);
	assert_int_equal(o->epochs, 1);
	assert_null(memmem(text.data, text.len, keyring_current(k)->data, 32));
	buf_done(&text);
	kek_done(&kek);
	keyring_free(o);
	keyring_free(k);
}

static void
a_key_object_for_somebody_else_is_passed_over(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k);
	struct kek kek = random_kek(), other = random_kek();
	char name[LAYOUT_NAME];
	struct buf text;
	struct err e = { 0 };

	(void)state;
	write_object(k, &kek, NULL, name, &text);
	assert_int_equal(keyring_take(o, &other, name, &text, &e), 0);
	assert_int_equal(o->epochs, 0);
	assert_int_equal(keyring_check(o, name, &text, &e), 0);
	buf_done(&text);
	kek_done(&kek);
	kek_done(&other);
	keyring_free(o);
	keyring_free(k);
}

static void
a_passphrase_opens_and_all_its_objects_share_one_salt(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k);
	struct kek pass = kek_of(KEK_PASSPHRASE, "correct horse", 13);
	struct kek wrong = kek_of(KEK_PASSPHRASE, "battery staple", 14);
	char name[LAYOUT_NAME], second[LAYOUT_NAME], ours[KEK_RECIPIENT];
	struct buf text, text2;
	struct err e = { 0 };
	const char *salt;

	(void)state;
	write_object(k, &pass, NULL, name, &text);
	keyring_add_epoch(k, clock_real_ns() + CLOCK_S);
	write_object(k, &pass, NULL, second, &text2);
	assert_string_equal(strchr(name, '.'), strchr(second, '.'));
	salt = strstr(buf_str(&text), "\nsalt ");
	assert_non_null(salt);
	assert_non_null(strstr(buf_str(&text2), "\nsalt "));
	assert_memory_equal(salt, strstr(buf_str(&text2), "\nsalt "), 70);

	assert_int_equal(keyring_take(o, &wrong, name, &text, &e), 0);
	assert_int_equal(keyring_take(o, &pass, name, &text, &e), 1);
	assert_int_equal(keyring_take(o, &pass, second, &text2, &e), 1);
	/* Stretched once for each passphrase, not for each object. */
	assert_int_equal(o->passes, 2);
	assert_int_equal(keyring_recipient(o, &pass, ours, &e), 0);
	assert_string_equal(ours, strchr(name, '.') + 1);
	assert_same_keys(k, o);
	buf_done(&text);
	buf_done(&text2);
	kek_done(&pass);
	kek_done(&wrong);
	keyring_free(o);
	keyring_free(k);
}

static void
the_escrow_opens_with_its_private_half_alone(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k);
	struct buf public, private, text;
	char name[LAYOUT_NAME];
	struct kek escrow, half;
	struct err e = { 0 };

	(void)state;
	buf_init(&public, 8192);
	buf_init(&private, 8192);
	assert_int_equal(key_escrow_make(&public, &private, &e), 0);
	write_object(k, NULL, buf_str(&public), name, &text);
	assert_non_null(strstr(buf_str(&text), "\nkind rsa-oaep\n"));
	half = kek_of(KEK_ESCROW, public.data, public.len);
	assert_int_equal(keyring_take(o, &half, name, &text, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	escrow = kek_of(KEK_ESCROW, private.data, private.len);
	assert_int_equal(keyring_take(o, &escrow, name, &text, &e), 1);
	assert_same_keys(k, o);
	kek_done(&escrow);
	kek_done(&half);
	buf_done(&text);
	buf_done(&public);
	buf_done(&private);
	keyring_free(o);
	keyring_free(k);
}

static void
a_changed_key_object_is_refused_whatever_was_changed(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k);
	struct kek kek = random_kek();
	char name[LAYOUT_NAME];
	struct buf text;
	struct err e = { 0 };

	(void)state;
	write_object(k, &kek, NULL, name, &text);
	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= 1;
		assert_int_equal(keyring_take(o, &kek, name, &text, &e), -1);
		assert_int_equal(o->epochs, 0);
		text.data[i] ^= 1;
	}
	for (size_t n = text.len; n-- > 0;) {
		struct buf part = { .data = text.data, .len = n };

		assert_int_equal(keyring_take(o, &kek, name, &part, &e), -1);
	}
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), 1);
	buf_done(&text);
	kek_done(&kek);
	keyring_free(o);
	keyring_free(k);
}

static void
a_key_object_of_a_stranger_is_not_unwrapped(void **state)
{
	struct keyring *k = repokit_keyring(), *thief = keyring_new(k->repo_id);
	struct keyring *o = other_host(k);
	struct kek kek = random_kek();
	char name[LAYOUT_NAME];
	struct buf text, pem;
	struct err e = { 0 };

	(void)state;
	buf_init(&pem, 4096);
	thief->sign = sign_key_make(&pem);
	keyring_add_epoch(thief, clock_real_ns());
	write_object(thief, &kek, NULL, name, &text);
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	assert_non_null(strstr(e.text, "whom the repository does not list"));
	assert_int_equal(o->epochs, 0);
	buf_done(&text);
	buf_done(&pem);
	kek_done(&kek);
	keyring_free(thief);
	keyring_free(o);
	keyring_free(k);
}

static void
a_key_object_is_refused_under_another_name_or_repository(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k), *foreign = repokit_keyring();
	struct kek kek = random_kek();
	char name[LAYOUT_NAME];
	struct buf text;
	struct err e = { 0 };

	(void)state;
	write_object(k, &kek, NULL, name, &text);
	assert_int_equal(keyring_take(foreign, &kek, name, &text, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "another repository"));
	name[4] = name[4] == '0' ? '1' : '0';
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), -1);
	assert_non_null(strstr(e.text, "calls itself"));
	buf_done(&text);
	kek_done(&kek);
	keyring_free(foreign);
	keyring_free(o);
	keyring_free(k);
}

/* Signed by one of ours, who was wrong or set back: what comes out is held to what is known. */
static void
a_key_object_whose_keys_are_others_is_refused(void **state)
{
	struct keyring *k = repokit_keyring(), *o = other_host(k);
	struct keyring_epoch lie = *keyring_current(k);
	struct kek kek = random_kek();
	char name[LAYOUT_NAME];
	struct err e = { 0 };
	struct buf text;
	uint8_t id[KEY_LEN];

	(void)state;
	lie.epoch[0] ^= 1;
	buf_init(&text, KEYRING_TEXT_MAX);
	assert_int_equal(keyring_object(k, &lie, &kek, NULL, name, &text, &e), 0);
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "not the one of its epoch"));
	assert_int_equal(o->epochs, 0);
	buf_done(&text);

	write_object(k, &kek, NULL, name, &text);
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), 1);
	buf_done(&text);
	key_random(id, sizeof(id));
	digest_idkey_init(&k->id, id);
	keyring_add_epoch(k, clock_real_ns());
	keyring_set_everywhere(k, k->epoch[k->epochs - 1].epoch);
	write_object(k, &kek, NULL, name, &text);
	assert_int_equal(keyring_take(o, &kek, name, &text, &e), -1);
	assert_int_equal(e.kind, ERR_CORRUPT);
	assert_non_null(strstr(e.text, "id key differs"));
	assert_int_equal(o->epochs, 1);
	buf_done(&text);
	kek_done(&kek);
	keyring_free(o);
	keyring_free(k);
}

static void
a_newer_version_of_a_key_object_is_not_guessed_at(void **state)
{
	struct keyring *k = repokit_keyring();
	struct kek kek = random_kek();
	char name[LAYOUT_NAME];
	struct buf text;
	struct err e = { 0 };

	(void)state;
	write_object(k, &kek, NULL, name, &text);
	text.data[strlen("ffdr-key ")] = '2';
	assert_int_equal(keyring_take(k, &kek, name, &text, &e), -1);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	buf_done(&text);
	kek_done(&kek);
	keyring_free(k);
}

static void
the_newest_epoch_that_is_everywhere_seals(void **state)
{
	struct keyring *k = repokit_keyring();
	uint8_t first[LAYOUT_EPOCH], second[LAYOUT_EPOCH];
	int64_t now = clock_real_ns();

	(void)state;
	memcpy(first, keyring_current(k)->epoch, LAYOUT_EPOCH);
	memcpy(second, keyring_add_epoch(k, now + 5 * CLOCK_S)->epoch, LAYOUT_EPOCH);
	keyring_add_epoch(k, now - 5 * CLOCK_S);
	assert_int_equal(k->epochs, 3);
	assert_memory_equal(keyring_current(k)->epoch, second, LAYOUT_EPOCH);
	keyring_set_everywhere(k, first);
	assert_memory_equal(keyring_current(k)->epoch, first, LAYOUT_EPOCH);
	keyring_set_everywhere(k, second);
	assert_memory_equal(keyring_current(k)->epoch, second, LAYOUT_EPOCH);
	keyring_drop_epoch(k, second);
	assert_memory_equal(keyring_current(k)->epoch, first, LAYOUT_EPOCH);
	assert_null(keyring_find(k, second));
	keyring_free(k);
}

static void
a_key_file_is_32_bytes_or_64_digits(void **state)
{
	char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n\n";
	uint8_t want[KEY_LEN];
	struct kek k;
	struct buf b;
	struct err e = { 0 };

	(void)state;
	vector_count(want, sizeof(want), 0);
	buf_init(&b, 100);
	for (size_t n = 64; n <= 65; n++) {
		buf_reset(&b);
		buf_add(&b, hex, n);
		assert_int_equal(kek_from_bytes(&b, &k, &e), 0);
		assert_int_equal(k.secret.len, KEY_LEN);
		assert_memory_equal(k.secret.data, want, KEY_LEN);
		kek_done(&k);
	}
	buf_reset(&b);
	buf_add(&b, want, KEY_LEN);
	assert_int_equal(kek_from_bytes(&b, &k, &e), 0);
	assert_memory_equal(k.secret.data, want, KEY_LEN);
	kek_done(&k);
	buf_reset(&b);
	buf_add(&b, hex, 66);
	assert_int_equal(kek_from_bytes(&b, &k, &e), -1);
	assert_int_equal(e.kind, ERR_KEY);
	buf_reset(&b);
	buf_add(&b, hex, 63);
	assert_int_equal(kek_from_bytes(&b, &k, &e), -1);
	buf_reset(&b);
	assert_int_equal(kek_from_bytes(&b, &k, &e), -1);
	buf_done(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_object_gives_its_keys_to_who_has_the_kek),
		cmocka_unit_test(a_key_object_for_somebody_else_is_passed_over),
		cmocka_unit_test(a_passphrase_opens_and_all_its_objects_share_one_salt),
		cmocka_unit_test(the_escrow_opens_with_its_private_half_alone),
		cmocka_unit_test(a_changed_key_object_is_refused_whatever_was_changed),
		cmocka_unit_test(a_key_object_of_a_stranger_is_not_unwrapped),
		cmocka_unit_test(a_key_object_is_refused_under_another_name_or_repository),
		cmocka_unit_test(a_key_object_whose_keys_are_others_is_refused),
		cmocka_unit_test(a_newer_version_of_a_key_object_is_not_guessed_at),
		cmocka_unit_test(the_newest_epoch_that_is_everywhere_seals),
		cmocka_unit_test(a_key_file_is_32_bytes_or_64_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
