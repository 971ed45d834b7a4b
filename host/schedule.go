package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/odac-run/odachost/abi"
)

// scheduler runs the schedules of the serving revisions, in UTC. A run that is still going when the next is due makes
// the next one wait for its own time: none overlaps itself.
type scheduler struct {
	cron *cron.Cron
}

func newScheduler() *scheduler {
	s := &scheduler{cron: cron.New(cron.WithLocation(time.UTC), cron.WithChain(cron.SkipIfStillRunning(cron.DiscardLogger)))}
	s.cron.Start()
	return s
}

// minEvery is the shortest interval of a schedule.
const minEvery = time.Second

// timesOf checks a registered schedule and says when it runs.
func timesOf(s abi.Schedule) (cron.Schedule, error) {
	switch {
	case s.Cron != "" && s.Every != 0:
		return nil, fmt.Errorf("host: schedule %q has both an interval and a cron line: give one", s.Name)
	case strings.Contains(s.Cron, "TZ="): // and the parser panics about one without a line
		return nil, fmt.Errorf("host: schedule %q: cron line %q: schedules are in UTC: leave the time zone out", s.Name, s.Cron)
	case s.Cron != "":
		times, err := cron.ParseStandard(s.Cron)
		if err != nil {
			return nil, fmt.Errorf("host: schedule %q: cron line %q: %w", s.Name, s.Cron, err)
		}
		return times, nil
	}
	every := time.Duration(s.Every) * time.Millisecond
	if s.Every > int64(24*365*time.Hour/time.Millisecond) || every < minEvery {
		return nil, fmt.Errorf("host: schedule %q runs every %d ms: use one second to one year", s.Name, s.Every)
	}
	return cron.Every(every), nil
}

// replace takes the schedules of old (nil: none) out and puts those of next (nil: none) in.
func (s *scheduler) replace(old, next *revision) {
	if old != nil {
		for _, id := range old.scheduled {
			s.cron.Remove(id)
		}
		old.scheduled = nil
	}
	if next == nil {
		return
	}
	for i, times := range next.times {
		name := next.registration.Schedules[i].Name
		next.scheduled = append(next.scheduled, s.cron.Schedule(times, cron.FuncJob(func() { next.dep.runSchedule(name) })))
	}
}

// runSchedule brings one run to whichever revision serves now.
func (d *deployment) runSchedule(name string) {
	rev := d.acquire()
	if rev == nil {
		return
	}
	defer rev.release()
	now := time.Now()
	in := &abi.ScheduleEvent{Name: name, Unix: now.Unix()}
	if err := rev.event(rev.host.life, abi.EventSchedule, name, in, nil, false); err != nil {
		rev.log.Error("schedule failed", "schedule", name, "error", err)
		return
	}
	rev.log.Debug("schedule ran", "schedule", name, "took", time.Since(now))
}

// stop waits for the runs that are under way, until ctx ends.
func (s *scheduler) stop(ctx context.Context) {
	select {
	case <-s.cron.Stop().Done():
	case <-ctx.Done():
	}
}
