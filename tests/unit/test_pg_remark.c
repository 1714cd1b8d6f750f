/*
 * Which page the server complains of, in the languages that PostgreSQL 15 speaks: the texts are
 * those of its catalogues.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "source/pg/pg_remark.h"

static const struct {
	const char *language, *bad, *shorter, *more, *total;
} said[] = {
	{ "en", "checksum verification failed in file \"%s\", block %u: calculated %X but expected %X",
	    "could not verify checksum in file \"%s\", block %u: read buffer size %d and page size "
	    "%d differ",
	    "further checksum verification failures in file \"%s\" will not be reported",
	    "file \"%s\" has a total of %d checksum verification failures" },
	{ "de", "Prüfsummenüberprüfung fehlgeschlagen in Datei »%s«, Block %u: berechnet %X, aber "
		"erwartet %X",
	    "konnte Prüfsumme in Datei »%s«, Block %u nicht überprüfen: gelesene Puffergröße %d und "
	    "Seitengröße %d sind verschieden",
	    "weitere Prüfsummenfehler in Datei »%s« werden nicht berichtet werden",
	    "Datei »%s« hat insgesamt %d Prüfsummenfehler" },
	{ "ja", "ファイル\"%s\"のブロック%uでチェックサム検証が失敗しました: 計算されたチェックサムは%Xですが想定は%Xです",
	    "ファイル\"%s\"、ブロック%uでチェックサム検証に失敗しました: 読み込みバッファサイズ%dとページサイズ%dが異なっています",
	    "ファイル\"%s\"における以降のチェックサムエラーは報告されません",
	    "ファイル\"%s\"では合計%d個のチェックサムエラーが発生しました" },
	{ "ko", "\"%s\" 파일  체크섬 검사 실패(해당 블럭 %u): 계산된 체크섬 %X (기대값 %X)",
	    "\"%s\" 파일(%u 블록)에서 체크섬 검사 실패: 읽기 버퍼(%d)와 페이지 크기(%d)가 서로 다름",
	    "계속해서 발생하는 \"%s\"에서의 체크섬 검사 실패는 더 이상 보고하지 않을 것입니다.",
	    "\"%s\" 파일에서 전체 %d 건 체크섬 검사 실패" },
	{ "ru", "ошибка контрольной суммы в файле \"%s\", блоке %u: вычислено значение %X, но ожидалось %X",
	    "не удалось проверить контрольную сумму в файле \"%s\", блоке %u: размер прочитанного буфера "
	    "(%d) отличается от размера страницы (%d)",
	    "о дальнейших ошибках контрольных сумм в файле \"%s\" сообщаться не будет",
	    "всего в файле \"%s\" обнаружено ошибок контрольных сумм: %d" },
	{ "ka", "საკონტროლო ჯამის გამოთვლის შეცდომა ფაილში \"%s\", ბლოკი \"%u\": გამოთვლილი საკონტროლო "
		"ჯამია %X, მაგრამ მოველოდი: %X",
	    "საკონტროლო ჯამის გადამოწმება შეუძლებელია ფაილში \"%s\", ბლოკი %u: წაკითხვის ბუფერის ზომა %d "
	    "და გვერდის ზომა %d განსხვავდება",
	    "ამის შემდეგ ფაილში \"%s\" შეხვედრილი",
	    "ფაილს \"%s\" სულ %d საკონტროლო ჯამის გადამოწმების ჩავარდნა აღმოაჩნდა" },
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"

static void
names(const char *path, const char *expected)
{
	char text[1000];
	size_t at, len;
	uint32_t block;

	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		block = 0;
		snprintf(text, sizeof(text), said[i].bad, path, 4711u, 0xBEEFu, 0x12u);
		if (!pg_remark_bad_page(text, &at, &len, &block))
			fail_msg("%s: not understood: %s", said[i].language, text);
		assert_int_equal(block, 4711);
		assert_int_equal(len, strlen(expected));
		assert_memory_equal(text + at, expected, len);
	}
}

static void
a_bad_page_is_named_in_every_language(void **state)
{
	(void)state;
	names("./base/5/16384", "base/5/16384");
	names("./base/5/16384_vm.2", "base/5/16384_vm.2");
	names("/srv/a »b\" 12/PG_15_202209061/5/16384.1", "/srv/a »b\" 12/PG_15_202209061/5/16384.1");
}

static void
nothing_else_about_checksums_names_one(void **state)
{
	char text[1000];
	size_t at, len;
	uint32_t block;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		snprintf(text, sizeof(text), said[i].shorter, "./base/5/16384", 4u, 100, 8192);
		assert_false(pg_remark_bad_page(text, &at, &len, &block));
		snprintf(text, sizeof(text), said[i].more, "./base/5/16384");
		assert_false(pg_remark_bad_page(text, &at, &len, &block));
		snprintf(text, sizeof(text), said[i].total, "./base/5/16384", 8);
		assert_false(pg_remark_bad_page(text, &at, &len, &block));
	}
}

#pragma GCC diagnostic pop

static void
what_is_no_such_text_is_passed_over(void **state)
{
	static const char *const other[] = { "", "/", "//", "./base/5/", "./base/5/x 1 A B", "1 2 3",
		"./base/5/1", "./base/5/1 2", "./base/5/1 2 A", "could not fsync file \"./base/5/1\"" };
	size_t at, len;
	uint32_t block;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(other); i++)
		if (pg_remark_bad_page(other[i], &at, &len, &block))
			fail_msg("taken: '%s'", other[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bad_page_is_named_in_every_language),
		cmocka_unit_test(nothing_else_about_checksums_names_one),
		cmocka_unit_test(what_is_no_such_text_is_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
