// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// date prints the time; setting it is left to hosts.
func date(c *Call) int {
	for i, arg := range c.Args { // its value is optional, and attached
		if unit, ok := strings.CutPrefix(arg, "-I"); ok {
			c.Args[i] = "--iso-8601=" + unit
		}
	}
	opts, ok := c.parse("ud:r:RI", "utc=u", "date=d", "reference=r", "rfc-email=R", "iso-8601=I")
	if !ok {
		return 1
	}
	now := time.Now()
	if name := opts.value('r', ""); name != "" {
		st, err := os.Stat(name)
		if err != nil {
			return c.fail(name, err)
		}
		now = st.ModTime()
	}
	if opts.has("u") {
		now = now.UTC()
	}
	if text := opts.value('d', ""); text != "" {
		t, err := parseTime(text, now)
		if err != nil {
			return c.usage("%v", err)
		}
		now = t
	}
	format := "%a %b %e %H:%M:%S %Z %Y"
	switch {
	case len(c.Args) > 0 && strings.HasPrefix(c.Args[0], "+"):
		format = c.Args[0][1:]
	case len(c.Args) > 0:
		return c.usage("setting the time is not supported")
	case opts.has("R"):
		format = "%a, %d %b %Y %H:%M:%S %z"
	case opts.has("I"):
		format = isoFormat(opts)
	}
	fmt.Fprintln(c.Out, strftime(format, now))
	return 0
}

func isoFormat(opts options) string {
	switch opts.value('I', "") {
	case "seconds", "s":
		return "%Y-%m-%dT%H:%M:%S%:z"
	case "minutes":
		return "%Y-%m-%dT%H:%M%:z"
	case "ns":
		return "%Y-%m-%dT%H:%M:%S,%N%:z"
	}
	return "%Y-%m-%d"
}

// parseTime reads @SECONDS and the usual forms, in now's location.
func parseTime(text string, now time.Time) (time.Time, error) {
	if rest, ok := strings.CutPrefix(text, "@"); ok {
		whole, fraction, _ := strings.Cut(rest, ".")
		seconds, err := strconv.ParseInt(whole, 10, 64)
		nanos, err2 := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		if err != nil || err2 != nil {
			return now, fmt.Errorf("invalid date '%s'", text)
		}
		return time.Unix(seconds, nanos).In(now.Location()), nil
	}
	switch text {
	case "now", "today":
		return now, nil
	case "yesterday":
		return now.AddDate(0, 0, -1), nil
	case "tomorrow":
		return now.AddDate(0, 0, 1), nil
	}
	zone := strings.TrimSuffix(text, " UTC")
	location := now.Location()
	if zone != text {
		location = time.UTC
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700", "2006-01-02 15:04:05",
		"2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02", time.RFC1123Z, time.RFC1123, time.UnixDate, "Mon Jan _2 15:04:05 2006"} {
		if t, err := time.ParseInLocation(layout, zone, location); err == nil {
			return t, nil
		}
	}
	if t, err := time.ParseInLocation("15:04:05", (zone + ":00")[:min(8, len(zone)+3)], location); err == nil {
		year, month, day := now.Date()
		return time.Date(year, month, day, t.Hour(), t.Minute(), t.Second(), 0, location), nil
	}
	return now, fmt.Errorf("invalid date '%s'", text)
}

func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		if rest := format[i:]; strings.HasPrefix(rest, ":z") {
			b.WriteString(t.Format("-07:00"))
			i++
			continue
		}
		bare := format[i] == '-' && i+1 < len(format)
		if bare {
			i++
		}
		text := timeField(format[i], t)
		if bare {
			text = strings.TrimLeft(text[:len(text)-1], "0 ") + text[len(text)-1:]
		}
		b.WriteString(text)
	}
	return b.String()
}

func timeField(verb byte, t time.Time) string {
	layouts := map[byte]string{'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'D': "01/02/06",
		'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'm': "01", 'M': "04", 'p': "PM", 'r': "03:04:05 PM", 'R': "15:04",
		'S': "05", 'T': "15:04:05", 'X': "15:04:05", 'x': "01/02/06", 'c': "Mon Jan _2 15:04:05 2006", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST"}
	if layout, ok := layouts[verb]; ok {
		return t.Format(layout)
	}
	_, week := t.ISOWeek()
	switch verb {
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100)
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay())
	case 'k':
		return fmt.Sprintf("%2d", t.Hour())
	case 'N':
		return fmt.Sprintf("%09d", t.Nanosecond())
	case 's':
		return strconv.FormatInt(t.Unix(), 10)
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1)
	case 'w':
		return strconv.Itoa(int(t.Weekday()))
	case 'V':
		return fmt.Sprintf("%02d", week)
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case '%':
		return "%"
	}
	return "%" + string(verb)
}

func touch(c *Call) int {
	opts, ok := c.parse("amcd:t:r:hf", "no-create=c", "date=d", "reference=r", "no-dereference=h")
	if !ok {
		return 1
	}
	if len(c.Args) == 0 {
		return c.usage("missing file operand")
	}
	times, err := touchTimes(opts)
	if err != nil {
		return c.usage("%v", err)
	}
	for _, name := range c.Args {
		if err := touchOne(name, times, opts); err != nil {
			c.errorf("cannot touch '%s': %s", name, Reason(err))
		}
	}
	return c.status
}

func touchTimes(opts options) ([]unix.Timespec, error) {
	times := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_NOW}}
	if name := opts.value('r', ""); name != "" {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err != nil {
			return nil, fmt.Errorf("%s: %s", name, Reason(err))
		}
		times = []unix.Timespec{st.Atim, st.Mtim}
	}
	var t time.Time
	var err error
	switch opts.last("dt") {
	case 'd':
		t, err = parseTime(opts.value('d', ""), time.Now())
	case 't':
		t, err = parseStamp(opts.value('t', ""))
	}
	if !t.IsZero() {
		stamp := unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
		times = []unix.Timespec{stamp, stamp}
	}
	if opts.has("a") && !opts.has("m") {
		times[1] = unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	if opts.has("m") && !opts.has("a") {
		times[0] = unix.Timespec{Nsec: unix.UTIME_OMIT}
	}
	return times, err
}

// parseStamp reads [[CC]YY]MMDDhhmm[.ss] (POSIX, touch).
func parseStamp(text string) (time.Time, error) {
	digits, seconds, ok := strings.Cut(text, ".")
	if !ok {
		seconds = "00"
	}
	if len(digits) == 8 {
		digits = strconv.Itoa(time.Now().Year()) + digits
	}
	layout := "200601021504.05"
	if len(digits) == 10 {
		layout = "0601021504.05"
	}
	t, err := time.ParseInLocation(layout, digits+"."+seconds, time.Local)
	if err != nil {
		return t, fmt.Errorf("invalid date format '%s'", text)
	}
	return t, nil
}

func touchOne(name string, times []unix.Timespec, opts options) error {
	flags := 0
	if opts.has("h") {
		flags = unix.AT_SYMLINK_NOFOLLOW
	}
	err := unix.UtimesNanoAt(unix.AT_FDCWD, name, times, flags)
	if err != unix.ENOENT || opts.has("ch") {
		if err == unix.ENOENT && opts.has("c") {
			return nil
		}
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	f.Close()
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, times, 0)
}
