from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.docker_details import DockerDetails
from tutumstream.gateway.docker.endings import Ending, is_crash
from tutumstream.gateway.docker.mishaps import (
    FRESH,
    Crash,
    Patience,
    Record,
    Verdict,
    aside,
    baseline,
    began,
    called_off,
    ended,
    ended_before,
    given_up,
    inherited,
    looked,
    next_look,
    removed,
    short_of_memory,
    steady,
)

SECOND = 1_000_000_000
PATIENCE = Patience()
LOST_WITH_ITS_ENGINE = 255
"""What Docker gives to containers that it finds dead when it starts."""


class Life:
    """One container's record through its life; `at` is now, in seconds by every clock."""

    def __init__(self, record: Record = FRESH) -> None:
        self.record = record
        self.at = 1000.0
        self.told: list[DockerDetails] = []

    def ends(self, exit_code: int | None = 1, **ending: Any) -> DockerDetails:
        found = Ending(at=int(self.at * SECOND), exit_code=exit_code, **ending)
        return self._take(ended(self.record, found, PATIENCE))

    def begins(self) -> DockerDetails:
        return self._take(began(self.record, int(self.at * SECOND), self.at, PATIENCE))

    def runs(self, seconds: float, health: str = "") -> list[str]:
        """What is told while it runs for so long, looked at every second."""
        since, events = self.record.since, []
        for _ in range(int(seconds)):
            self.at += 1
            verdict = looked(self.record, since, health, self.at, PATIENCE)
            self.record = verdict.record
            if verdict.details is not None:
                self.told.append(verdict.details)
                events.append(verdict.details.event)
        return events

    def crashes(self, times: int, every: float = 1.0, again: bool = True) -> None:
        for _ in range(times):
            self.begins()
            self.runs(every)
            self.ends(ran=every, again=again)

    def news(self) -> list[str]:
        return [details.event for details in self.told if details.news]

    def _take(self, verdict: Any) -> DockerDetails:
        self.record = verdict.record
        self.told.append(verdict.details)
        return self.told[-1]


def before_us(health: str = "", restarts: int = 0, restarting: bool = False, since: int = 0) -> Record:
    """The record of what was there at 1000."""
    return baseline(health, restarts=restarts, restarting=restarting, since=since, now=1000.0, patience=PATIENCE)


class IsCrashTests(SynchronousTestCase):
    def test_what_is_ended_because_it_is_ill_crashed_whatever_its_exit_code(self) -> None:
        self.assertEqual([self.crash(code, ill=True) for code in (0, 137, None)], [True] * 3)

    def crash(self, exit_code: int | None, **ending: Any) -> bool:
        return is_crash(Ending(at=1, exit_code=exit_code, **ending))

    def test_what_was_asked_for_never_is_one(self) -> None:
        for code in (0, 1, 137, None):
            self.assertFalse(self.crash(code, asked=True, oom=True, error="x"))

    def test_by_itself_every_code_but_0_is(self) -> None:
        for code in (1, 3, 130, 137, 143, -1, None):
            self.assertTrue(self.crash(code))
        self.assertFalse(self.crash(0))

    def test_exit_0_is_one_where_it_ought_to_go_on_and_hardly_began(self) -> None:
        self.assertTrue(self.crash(0, again=True, ran=1.0))
        self.assertFalse(self.crash(0, again=True, ran=60.0))

    def test_of_an_end_that_nobody_saw_a_code_that_a_stop_leaves_too_says_nothing(self) -> None:
        for code in (137, 143, 130, 0, None):
            self.assertFalse(self.crash(code, seen=False))
        for code in (1, LOST_WITH_ITS_ENGINE):
            self.assertTrue(self.crash(code, seen=False))
        self.assertTrue(self.crash(137, seen=False, oom=True))
        self.assertTrue(self.crash(None, seen=False, again=True))

    def test_a_start_that_failed_is_one(self) -> None:
        self.assertTrue(self.crash(127, seen=False, error="no such file"))


class CrashLoopTests(SynchronousTestCase):
    def test_twenty_crashes_are_one_alarm_and_one_recovery(self) -> None:
        life = Life()
        life.crashes(20)
        life.begins()
        life.runs(100)
        self.assertEqual(life.news(), ["crash", "crash", "recovery"])
        first, alarm, recovery = (details for details in life.told if details.news)
        self.assertEqual((first.looping, first.crashes), (False, 1))
        self.assertEqual((alarm.looping, alarm.crashes, alarm.within), (True, 3, 600))
        self.assertEqual((recovery.looping, recovery.crashes, recovery.ran), (True, 20, 30))
        self.assertFalse(life.record.looping)

    def test_one_that_people_start_again_is_told_each_time_until_it_is_a_loop(self) -> None:
        life = Life()
        life.crashes(20, again=False)
        self.assertEqual(life.news(), ["crash", "crash", "crash"])

    def test_crashes_far_apart_are_no_loop(self) -> None:
        life = Life()
        life.crashes(6, every=400.0)
        self.assertFalse(life.record.looping)
        self.assertEqual(life.news(), ["crash", "recovery"] * 5 + ["crash"])

    def test_the_slower_it_crashes_the_longer_it_must_run_to_be_well(self) -> None:
        life = Life()
        life.crashes(12, every=90.0)
        # Before it is a loop, nobody can know how long it takes.
        self.assertEqual(life.news(), ["crash", "recovery"] * 2 + ["crash"])
        life.begins()
        self.assertEqual(life.runs(179), [])
        self.assertEqual(life.runs(1), ["recovery"])

    def test_restarts_too_quick_to_be_seen_count(self) -> None:
        life = Life()
        self.assertTrue(life.ends(times=5, again=True).looping)
        self.assertEqual(life.told[-1].crashes, 5)

    def test_however_many_there_were_little_is_remembered(self) -> None:
        life = Life()
        life.ends(times=1_000_000)
        life.crashes(200)
        self.assertLessEqual(len(life.record.crashes), 64)

    def test_whoever_stops_it_ends_it_quietly_and_counting_begins_anew(self) -> None:
        life = Life()
        life.crashes(5)
        life.begins()
        stop = life.ends(137, asked=True)
        self.assertEqual((stop.event, stop.expected, stop.news, stop.looping), ("stop", True, False, True))
        life.begins()
        self.assertEqual((life.ends().crashes, life.record.looping), (1, False))

    def test_a_stop_while_docker_waits_to_start_it_again_ends_it(self) -> None:
        life = Life()
        life.crashes(5)
        verdict = called_off(life.record)
        assert verdict.details is not None
        self.assertEqual((verdict.details.event, verdict.details.looping), ("stop", True))
        self.assertFalse(called_off(verdict.record).record.again)

    def test_its_removal_ends_it_unless_it_was_stopped_before(self) -> None:
        life = Life()
        life.crashes(5)
        gone = removed(life.record)
        self.assertEqual((gone.event, gone.looping, gone.crashes), ("remove", True, 5))
        life.ends(137, asked=True)
        gone = removed(life.record)
        self.assertEqual((gone.event, gone.looping, gone.crashes), ("remove", False, 0))

    def test_that_docker_gives_up_is_news_whatever_was_told_before(self) -> None:
        for crashes, told in ((1, ["crash"]), (4, ["crash", "crash"])):
            life = Life()
            life.crashes(crashes)
            self.assertEqual(life.news(), told)
            life.begins()
            last = life.ends(given_up=True)
            self.assertEqual((life.news(), last.given_up, last.restarting), ([*told, "crash"], True, False))

    def test_a_swarm_that_gives_up_says_so_only_after_the_last_crash_and_that_is_told_once(self) -> None:
        for crashes, looping in ((2, False), (5, True)):
            life = Life()
            life.crashes(crashes - 1)
            life.begins()
            end = Ending(at=int(life.at * SECOND), exit_code=4, ran=1.0)
            life.record = ended(life.record, end, PATIENCE).record
            verdict = given_up(life.record, end, PATIENCE)
            told = verdict.details
            assert told is not None
            self.assertEqual((told.event, told.news, told.given_up), ("crash", True, True))
            self.assertEqual((told.crashes, told.exit_code, told.looping), (crashes, 4, looping))
            self.assertEqual(given_up(verdict.record, end, PATIENCE), Verdict(verdict.record))
            # Whoever makes it run all the same begins anew, and it is well again in the end.
            life.record = inherited(verdict.record)
            life.begins()
            self.assertEqual(life.runs(60), ["recovery"])

    def test_after_crashes_nothing_is_said_of_its_health_until_it_runs_steadily(self) -> None:
        for crashes, told in ((1, ["unhealthy", "crash"]), (5, ["unhealthy", "crash", "crash"])):
            life = Life()
            life.begins()
            life.runs(1, "unhealthy")
            life.ends(again=True)
            life.crashes(crashes - 1)
            life.begins()
            life.runs(2, "healthy")
            life.runs(2, "unhealthy")
            self.assertEqual(life.news(), told)
            self.assertEqual(life.runs(60, "healthy"), ["healthy", "recovery"])
            life.runs(1, "unhealthy")
            life.runs(1, "healthy")
            self.assertEqual(life.news(), [*told, "recovery", "unhealthy", "healthy"])

    def test_in_a_loop_it_is_no_news_that_it_is_ill_too(self) -> None:
        life = Life()
        life.crashes(3)
        told = life.news()
        life.begins()
        life.runs(1, "unhealthy")
        life.runs(60, "healthy")
        self.assertEqual(life.news(), [*told, "recovery"])

    def test_whatever_ends_what_crashed_before_us_ends_a_loop_as_far_as_anybody_knows(self) -> None:
        asked, crash = Ending(at=1001 * SECOND, asked=True), Ending(at=1000 * SECOND, exit_code=1)
        restarting = before_us(restarting=True)
        again = ended(restarting, crash, PATIENCE).record
        for record in (restarting, again, before_us(restarts=5, since=1000 * SECOND)):
            for told in (called_off(record).details, ended(record, asked, PATIENCE).details):
                self.assertEqual((told and told.event, told and told.looping), ("stop", True))
        once = ended(FRESH, crash, PATIENCE).record
        told = called_off(once).details
        self.assertEqual(told and told.looping, False)

    def test_what_was_never_started_again_is_not_given_up(self) -> None:
        for code in (0, 4):
            end = Ending(at=SECOND, exit_code=code)
            record = ended(FRESH, end, PATIENCE).record
            self.assertEqual(given_up(record, end, PATIENCE), Verdict(record))

    def test_whatever_is_told_in_a_loop_says_that_there_is_one(self) -> None:
        life = Life()
        life.crashes(3)
        life.begins()
        life.record = short_of_memory(life.record, int(life.at * SECOND), life.at, PATIENCE)
        self.assertEqual(life.runs(3, "unhealthy"), ["unhealthy", "oom"])
        self.assertEqual(life.runs(1, "healthy"), ["healthy"])
        self.assertEqual(
            [(each.event, each.looping) for each in life.told[-4:]],
            [("start", True), ("unhealthy", True), ("oom", True), ("healthy", True)],
        )
        self.assertEqual(aside(life.record, "rename"), DockerDetails(event="rename", health="healthy", looping=True))

    def test_a_job_that_gets_through_at_last_is_good_news(self) -> None:
        life = Life()
        life.crashes(2)
        life.begins()
        self.assertEqual((life.ends(0).event, life.news()), ("finish", ["crash", "finish"]))

    def test_a_job_that_gets_through_after_what_crashed_before_us_is_no_news(self) -> None:
        life = Life(before_us(restarts=4, since=990 * SECOND))
        self.assertEqual(life.ends(0).event, "finish")
        self.assertEqual(life.news(), [])

    def test_crashes_count_though_it_did_well_in_between(self) -> None:
        life = Life()
        for _ in range(3):
            life.begins()
            life.ends(1)
            life.begins()
            life.ends(0)
        self.assertEqual([details.looping for details in life.told if details.event == "crash"], [False, False, True])

    def test_an_end_without_a_crash_says_how_long_it_ran_how_it_did_and_whether_it_goes_on(self) -> None:
        for again in (True, False):
            life = Life()
            life.begins()
            life.runs(1, "unhealthy")
            told = life.ends(0, ran=60.0, again=again)
            self.assertEqual((told.event, told.ran, told.health, told.restarting), ("finish", 60, "unhealthy", again))
            self.assertEqual(life.record.again, again)

    def test_a_job_that_just_ends_is_no_news(self) -> None:
        life = Life()
        life.begins()
        life.ends(0)
        self.assertEqual(life.news(), [])

    def test_one_that_runs_and_is_unhealthy_is_not_well(self) -> None:
        life = Life()
        life.crashes(1)
        life.begins()
        self.assertEqual(life.runs(100, "starting"), [])
        self.assertEqual(life.runs(100, "healthy"), ["healthy", "recovery"])

    def test_a_run_that_ended_meanwhile_proves_nothing(self) -> None:
        life = Life()
        life.crashes(1)
        life.begins()
        verdict = looked(life.record, life.record.since + 1, "", life.at + 100, PATIENCE)
        self.assertIsNone(verdict.details)

    def test_the_end_of_crashes_before_us_is_told_to_those_who_may_wait_for_it(self) -> None:
        life = Life(before_us(restarts=4, since=990 * SECOND))
        self.assertEqual((life.runs(29), life.runs(1)), ([], ["recovery"]))
        # But nobody heard of them from us.
        self.assertEqual(life.news(), [])
        self.assertEqual(before_us(restarts=4, since=1 * SECOND).unwell, 0)

    def test_a_crash_after_those_before_us_is_news(self) -> None:
        life = Life(before_us(restarts=4, since=990 * SECOND))
        life.ends(again=True)
        life.begins()
        life.runs(40)
        self.assertEqual(life.news(), ["crash", "recovery"])

    def test_it_is_looked_at_again_when_it_may_be_well(self) -> None:
        life = Life()
        self.assertEqual(next_look(life.record), 0.0)
        life.crashes(1)
        life.begins()
        self.assertEqual(next_look(life.record), life.at + PATIENCE.steady)


class HealthTests(SynchronousTestCase):
    def test_only_illness_and_its_end_are_news(self) -> None:
        life = Life()
        life.begins()
        self.assertEqual(life.runs(3, "starting") + life.runs(3, "healthy"), ["healthy"])
        self.assertEqual(life.news(), [])
        life.runs(3, "unhealthy")
        life.runs(3, "healthy")
        self.assertEqual(life.news(), ["unhealthy", "healthy"])

    def test_a_restart_in_between_does_not_hide_that_it_is_well(self) -> None:
        life = Life()
        life.begins()
        life.runs(1, "unhealthy")
        life.ends(137, asked=True)
        life.begins()
        life.runs(1, "starting")
        life.runs(1, "unhealthy")
        life.runs(1, "starting")
        life.runs(1, "healthy")
        self.assertEqual(life.news(), ["unhealthy", "healthy"])

    def test_what_was_there_before_us_is_no_news_but_its_end_is(self) -> None:
        life = Life(before_us(health="unhealthy", since=1))
        self.assertEqual(life.runs(5, "unhealthy"), [])
        life.runs(1, "healthy")
        self.assertEqual(life.news(), ["healthy"])

    def test_what_was_not_ill_before_us_and_becomes_healthy_is_no_news(self) -> None:
        for record in (before_us("starting", since=1), before_us("unhealthy")):
            life = Life(record)
            life.begins()
            life.runs(3, "starting")
            life.runs(3, "healthy")
            self.assertEqual(life.news(), [])

    def test_a_loop_that_was_there_before_us_is_told_once_it_is_one(self) -> None:
        life = Life(before_us(restarting=True, restarts=9))
        life.crashes(5)
        self.assertEqual([details.crashes for details in life.told if details.news], [3])


class EndsSeenLateTests(SynchronousTestCase):
    """Something else is in its place already. Its end is at 2000."""

    def ended(self, place: Record, own: Record = FRESH, *, since: float, over: bool = False, **ending: Any) -> Verdict:
        found = Ending(at=2000 * SECOND, **ending)
        return ended_before(place, own, found, int(since * SECOND), over, 3000.0, PATIENCE)

    def test_to_make_room_for_what_ran_already_change_nothing_of_that(self) -> None:
        place = Record(unwell=3, looping=True, again=True, health="healthy")
        told = self.ended(place, Record(looping=True, health="unhealthy"), since=1999, exit_code=143, asked=True)
        self.assertEqual(told.record, place)
        assert told.details is not None
        self.assertEqual(
            (told.details.event, told.details.health, told.details.looping, told.details.news),
            ("stop", "unhealthy", False, False),
        )

    def test_before_what_runs_now_began_are_over_with_its_troubles(self) -> None:
        place = Record(unwell=3, looping=True, again=True)
        for since in (0, 2000, 2001):
            told = self.ended(place, since=since, exit_code=143, asked=True)
            assert told.details is not None
            self.assertEqual((told.details.event, told.details.looping, told.record.unwell), ("stop", True, 0))
            self.assertEqual(told.record.due, 0.0)

    def test_in_a_crash_are_a_trouble_of_what_runs_now_and_its_own_state_is_what_it_was(self) -> None:
        place = Record(health="starting", oom_due=5.0)
        told = self.ended(place, Record(health="unhealthy"), since=2001, exit_code=1)
        assert told.details is not None
        self.assertEqual((told.details.event, told.details.health, told.details.news), ("crash", "unhealthy", True))
        after = told.record
        self.assertEqual((after.unwell, after.again, after.health, after.oom_due), (1, True, "starting", 5.0))
        self.assertEqual((after.since, after.due), (2001 * SECOND, 3000.0 + PATIENCE.steady))

    def test_in_a_crash_are_nothing_to_wait_for_while_nothing_runs(self) -> None:
        self.assertEqual(self.ended(FRESH, since=0, exit_code=1).record.due, 0.0)


class MemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.life = Life()
        self.life.begins()

    def short(self) -> None:
        life = self.life
        life.record = short_of_memory(life.record, int(life.at * SECOND), life.at, PATIENCE)

    def test_with_the_death_it_ends_in_it_is_one_thing(self) -> None:
        self.short()
        crash = self.life.ends(137, oom=True)
        self.assertEqual((crash.event, crash.oom_killed, self.life.news()), ("crash", True, ["crash"]))
        self.life.begins()
        self.assertEqual(self.life.runs(5), [])

    def test_without_one_it_is_told_by_itself_and_once_in_a_while(self) -> None:
        self.short()
        self.assertEqual(next_look(self.life.record), self.life.at + PATIENCE.oom)
        self.assertEqual(self.life.runs(3), ["oom"])
        for _ in range(5):
            self.life.at += 10
            self.short()
            self.assertEqual(self.life.runs(3), [])
        self.life.at += PATIENCE.window
        self.short()
        self.assertEqual(self.life.runs(3), ["oom"])

    def test_is_told_as_what_nobody_wanted_once_no_death_followed(self) -> None:
        self.life.runs(1, "healthy")
        self.short()
        record = self.life.record
        self.assertIsNone(looked(record, record.since, "healthy", self.life.at + 0.9, PATIENCE).details)
        self.life.runs(1, "healthy")
        told = self.life.told[-1]
        self.assertEqual(
            (told.event, told.expected, told.oom_killed, told.health, told.news), ("oom", False, True, "healthy", True)
        )

    def test_heard_of_twice_it_is_the_same(self) -> None:
        self.short()
        record = self.life.record
        self.short()
        self.assertEqual(self.life.record, record)

    def test_heard_of_late_it_is_the_same_too(self) -> None:
        record = short_of_memory(FRESH, 7 * SECOND, 10.0, PATIENCE)
        for at in (7, 6):
            self.assertEqual(short_of_memory(record, at * SECOND, 10.5, PATIENCE), record)

    def test_again_before_it_is_told_it_is_told_all_the_same(self) -> None:
        record = short_of_memory(short_of_memory(FRESH, 7 * SECOND, 7.0, PATIENCE), 8 * SECOND, 7.5, PATIENCE)
        self.assertEqual((record.oom, record.oom_due), (8 * SECOND, 7.5 + PATIENCE.oom))


class ARecord(SynchronousTestCase):
    """What a step leaves of it, and what is told with that."""

    TROUBLED = Record(
        unwell=2, looping=True, hushed=True, again=True, given_up=True, health="healthy", oom_due=5.0, due=7.0, since=3
    )

    def test_of_a_crash_has_it_and_waits_for_nothing(self) -> None:
        life = Life(Record(health="healthy", oom_due=5.0, due=7.0, since=3))
        told = life.ends(3, error="no", again=True, given_up=True, ran=5.9)
        crash = Crash(1000 * SECOND, 5.9)
        self.assertEqual(life.record, Record(crashes=(crash,), unwell=1, again=True, given_up=True, health="healthy"))
        self.assertEqual(
            told,
            DockerDetails(
                event="crash",
                expected=False,
                news=True,
                exit_code=3,
                error="no",
                health="healthy",
                restarting=True,
                given_up=True,
                crashes=1,
                within=PATIENCE.window,
                ran=5,
            ),
        )

    def test_of_what_somebody_stops_is_as_good_as_new(self) -> None:
        for verdict in (
            ended(self.TROUBLED, Ending(at=1, exit_code=0, asked=True), PATIENCE),
            called_off(self.TROUBLED),
        ):
            self.assertEqual(verdict.record, Record(health="healthy"))
            self.assertEqual(
                verdict.details and (verdict.details.event, verdict.details.health, verdict.details.crashes),
                ("stop", "healthy", 2),
            )

    def test_in_a_loop_stays_so_however_long_the_next_crash_takes(self) -> None:
        life = Life(Record(looping=True, unwell=3))
        life.ends(1)
        self.assertTrue(life.record.looping)

    def test_counts_a_crash_that_is_seen_late_where_it_belongs(self) -> None:
        life = Life()
        life.at = 2000.0
        life.ends(1)
        life.at = 1000.0
        life.ends(1)
        self.assertEqual([each.at for each in life.record.crashes], [2000 * SECOND])

    def test_must_last_twice_as_long_as_the_longest_run_between_two_crashes(self) -> None:
        for ran, seconds in (((500.0, 20.0, 40.0, 30.0), 80.0), ((500.0,), PATIENCE.steady), ((0.0, 900.0), 600.0)):
            crashes = tuple(Crash(number, each) for number, each in enumerate(ran))
            self.assertEqual(steady(Record(looping=True, crashes=crashes), PATIENCE), seconds)

    def test_is_looked_at_for_what_is_due_first(self) -> None:
        self.assertEqual(next_look(Record(due=5.0, oom_due=3.0)), 3.0)

    def test_says_how_it_does_when_that_changes(self) -> None:
        ill = looked(Record(health="healthy"), 0, "unhealthy", 1.0, PATIENCE)
        self.assertEqual(ill.details, DockerDetails(event="unhealthy", expected=False, news=True, health="unhealthy"))
        well = looked(ill.record, 0, "healthy", 2.0, PATIENCE)
        self.assertEqual(well.details, DockerDetails(event="healthy", news=True, health="healthy"))
        self.assertEqual(well.record, Record(health="healthy"))
        self.assertEqual(aside(well.record), DockerDetails(health="healthy"))

    def test_of_what_was_ill_and_crashed_is_ill_until_it_is_told_that_it_is_well(self) -> None:
        for hushed in (True, False):
            record = Record(ill=True, unwell=2, hushed=hushed, health="unhealthy")
            verdict = looked(record, 0, "healthy", 1.0, PATIENCE)
            # Of crashes that others told of, nobody hears from us that they are over.
            self.assertEqual((verdict.details and verdict.details.news, verdict.record.ill), (hushed, not hushed))

    def test_gives_up_nothing_that_did_not_crash(self) -> None:
        self.assertIsNone(given_up(Record(unwell=2), Ending(at=1, exit_code=0), PATIENCE).details)

    def test_says_how_long_it_ran_in_whole_seconds_that_fit(self) -> None:
        for ran, seconds in ((-1.0, 0), (0.9, 0), (1.9, 1), (2.0**40, 2**31 - 1)):
            self.assertEqual(Life().ends(1, ran=ran).ran, seconds)
