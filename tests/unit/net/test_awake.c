/* Protects both halves of staying awake: a loop whose peers answer at once does not sleep in between, and one whose peers
 * compute for longer soon sleeps at once. */
#include "net/awake.h"

#include "rig.h"

struct place {
	struct rig rig;
	struct awake awake;
};

static void begin(struct place *place)
{
	rig_begin(&place->rig);
	awake_init(&place->awake, &place->rig.loop, place);
	rig_arm(&place->rig); /* something that keeps the loop alive */
}

static void end(struct place *place)
{
	rig_disarm(&place->rig);
	awake_close(&place->awake, NULL);
	rig_end(&place->rig);
}

static bool is_awake(const struct place *place)
{
	return uv_is_active((const uv_handle_t *)&place->awake.idle);
}

static void wait_for_sleep(struct place *place)
{
	while (is_awake(place) && !place->rig.timed_out)
		(void)uv_run(&place->rig.loop, UV_RUN_NOWAIT);
}

static void test_awake_stays_so_while_work_keeps_coming(void **state)
{
	(void)state;
	struct place place;
	begin(&place);
	for (int i = 0; i < 1000; i++) {
		awake_note_work(&place.awake);
		assert_true(is_awake(&place));
		assert_int_equal(uv_backend_timeout(&place.rig.loop), 0);
	}
	wait_for_sleep(&place);
	end(&place);
}

static void test_awake_gives_up_what_does_not_pay(void **state)
{
	(void)state;
	struct place place;
	begin(&place);
	unsigned stays = 0;
	for (int i = 0; i < 10000; i++) {
		awake_note_work(&place.awake);
		stays += is_awake(&place);
		wait_for_sleep(&place);
	}
	assert_in_range(stays, 8 + 10000 / 257, 8 + 10000 / 255);
	end(&place);
}

static void test_awake_begins_anew_when_it_pays_again(void **state)
{
	(void)state;
	struct place place;
	begin(&place);
	for (int i = 0; i < 1000; i++) {
		awake_note_work(&place.awake);
		wait_for_sleep(&place);
	}
	while (!is_awake(&place))
		awake_note_work(&place.awake);
	awake_note_work(&place.awake); /* a hit */
	wait_for_sleep(&place);
	awake_note_work(&place.awake); /* one is passed over, for the one miss since */
	assert_false(is_awake(&place));
	awake_note_work(&place.awake);
	assert_true(is_awake(&place));
	end(&place);
}

static void test_awake_does_not_keep_the_loop_alive(void **state)
{
	(void)state;
	struct place place;
	begin(&place);
	awake_note_work(&place.awake);
	rig_disarm(&place.rig);
	assert_false(uv_loop_alive(&place.rig.loop));
	end(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_awake_stays_so_while_work_keeps_coming),
		cmocka_unit_test(test_awake_gives_up_what_does_not_pay),
		cmocka_unit_test(test_awake_begins_anew_when_it_pays_again),
		cmocka_unit_test(test_awake_does_not_keep_the_loop_alive),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
