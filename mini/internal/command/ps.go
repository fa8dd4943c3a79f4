// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is what proc(5) says about one.
type process struct {
	pid, ppid, pgid, sid, tty int
	uid                       uint32
	state                     string
	comm, args                string
	ticks, start              int64 // clock ticks: processor time, and since boot
	vsz, rss                  int64 // KiB
	nice, threads             int
}

// clockTicks is sysconf(_SC_CLK_TCK), which is 100 on every Linux.
const clockTicks = 100

func readProcess(pid int) (p process, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return p, err
	}
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return p, err
	}
	open, shut := strings.IndexByte(string(text), '('), strings.LastIndexByte(string(text), ')')
	fields := strings.Fields(string(text[max(shut, 0)+1:]))
	if open < 0 || shut < open || len(fields) < 22 {
		return p, errors.New("bad stat file")
	}
	number := func(field int) int64 { // numbered as in proc(5)
		n, _ := strconv.ParseInt(fields[field-3], 10, 64)
		return n
	}
	p = process{pid: pid, uid: st.Uid, comm: string(text[open+1 : shut]), state: fields[0],
		ppid: int(number(4)), pgid: int(number(5)), sid: int(number(6)), tty: int(number(7)),
		ticks: number(14) + number(15), nice: int(number(19)), threads: int(number(20)), start: number(22),
		vsz: number(23) / 1024, rss: number(24) * int64(os.Getpagesize()) / 1024}
	line, _ := os.ReadFile(dir + "/cmdline")
	p.args = strings.TrimSpace(strings.ReplaceAll(string(line), "\x00", " "))
	if p.args == "" {
		p.args = "[" + p.comm + "]"
	}
	return p, nil
}

func processes() ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if p, err := readProcess(pid); err == nil { // else it has ended
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b process) int { return a.pid - b.pid })
	return all, nil
}

// ps always lists every process, as busybox does: a container has few.
func ps(c *Call) int {
	columns := "pid,user,time,args"
	c.Args = bsdOptions(c.Args)
	opts, ok := c.parse("aAefFlxwuo:p:", "pid=p", "format=o", "sort=w")
	if !ok {
		return 1
	}
	switch {
	case opts.has("o"):
		columns = strings.Join(opts.values('o'), ",")
	case opts.has("u"):
		columns = "user,pid,pcpu,pmem,vsz,rss,tty,stat,start,time,args"
	case opts.has("f"):
		columns = "user,pid,ppid,c,start,tty,time,args"
	}
	all, err := processes()
	if err != nil {
		return c.fail("/proc", err)
	}
	if want := strings.Join(opts.values('p'), ","); want != "" {
		ids := strings.Split(want, ",")
		all = slices.DeleteFunc(all, func(p process) bool { return !slices.Contains(ids, strconv.Itoa(p.pid)) })
	}
	rows, err := psRows(columns, all)
	if err != nil {
		return c.usage("%v", err)
	}
	printTable(c, rows)
	if len(all) == 0 {
		return 1
	}
	return c.status
}

// bsdOptions gives "aux" its dash.
func bsdOptions(args []string) []string {
	if len(args) > 0 && args[0] != "" && strings.Trim(args[0], "aexufwl") == "" {
		return append([]string{"-" + args[0]}, args[1:]...)
	}
	return args
}

func psRows(columns string, all []process) ([][]string, error) {
	var names []string
	var titles []string
	for column := range strings.SplitSeq(columns, ",") {
		name, title, titled := strings.Cut(strings.TrimSpace(column), "=")
		if !titled {
			title = psTitle(name)
		}
		names, titles = append(names, name), append(titles, title)
	}
	rows := [][]string{titles}
	if strings.Join(titles, "") == "" {
		rows = nil
	}
	host := readHost()
	for _, p := range all {
		var row []string
		for _, name := range names {
			text, ok := p.column(name, host)
			if !ok {
				return nil, fmt.Errorf("unknown column '%s'", name)
			}
			row = append(row, text)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func psTitle(name string) string {
	switch name {
	case "args", "command", "cmd", "comm":
		return "COMMAND"
	case "pcpu":
		return "%CPU"
	case "pmem":
		return "%MEM"
	case "tt":
		return "TTY"
	}
	return strings.ToUpper(name)
}

// host is what the columns need beside the process.
type host struct {
	users, groups *names
	uptime        float64
	memory        int64 // KiB
	now           time.Time
}

func readHost() host {
	var info unix.Sysinfo_t
	unix.Sysinfo(&info)
	text, _ := os.ReadFile("/proc/uptime")
	uptime, _ := strconv.ParseFloat(strings.SplitN(string(text)+" ", " ", 2)[0], 64)
	return host{users: passwd(), groups: groups(), uptime: uptime, now: time.Now(),
		memory: int64(info.Totalram) * int64(info.Unit) / 1024}
}

func (p process) column(name string, h host) (string, bool) {
	age := max(h.uptime-float64(p.start)/clockTicks, 0.01)
	switch name {
	case "pid":
		return strconv.Itoa(p.pid), true
	case "ppid":
		return strconv.Itoa(p.ppid), true
	case "pgid", "pgrp":
		return strconv.Itoa(p.pgid), true
	case "sid", "sess":
		return strconv.Itoa(p.sid), true
	case "user", "euser", "ruser", "uname":
		return h.users.name(p.uid), true
	case "uid", "euid", "ruid":
		return strconv.Itoa(int(p.uid)), true
	case "stat", "state", "s":
		return p.state, true
	case "comm", "ucmd":
		return p.comm, true
	case "args", "command", "cmd":
		return p.args, true
	case "vsz":
		return strconv.FormatInt(p.vsz, 10), true
	case "rss":
		return strconv.FormatInt(p.rss, 10), true
	case "nice", "ni":
		return strconv.Itoa(p.nice), true
	case "nlwp", "thcount":
		return strconv.Itoa(p.threads), true
	case "time":
		return clock(p.ticks / clockTicks), true
	case "etime":
		return clock(int64(age)), true
	case "c":
		return strconv.Itoa(int(float64(p.ticks) / age)), true
	case "pcpu", "%cpu":
		return fmt.Sprintf("%.1f", float64(p.ticks)/clockTicks/age*100), true
	case "pmem", "%mem":
		return fmt.Sprintf("%.1f", float64(p.rss)*100/float64(max(h.memory, 1))), true
	case "start", "stime", "lstart":
		return h.now.Add(-time.Duration(age * float64(time.Second))).Format("15:04"), true
	case "tty", "tt", "tname":
		return ttyName(p.tty), true
	}
	return "", false
}

func clock(seconds int64) string {
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

func ttyName(device int) string {
	if device == 0 {
		return "?"
	}
	major, minor := unix.Major(uint64(device)), unix.Minor(uint64(device))
	if major >= 136 && major <= 143 {
		return fmt.Sprintf("pts/%d", minor)
	}
	return fmt.Sprintf("tty%d", minor)
}

// printTable aligns columns: numbers right, the rest left, the last as it is.
func printTable(c *Call, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	widths := make([]int, len(rows[0]))
	right := make([]bool, len(rows[0]))
	for i := range right {
		right[i] = true
	}
	for r, row := range rows {
		for i, text := range row {
			widths[i] = max(widths[i], len(text))
			if r > 0 && strings.Trim(text, "0123456789.,%-KMGT") != "" {
				right[i] = false
			}
		}
	}
	for _, row := range rows {
		for i, text := range row {
			width := widths[i]
			if !right[i] {
				width = -width
			}
			if i == len(row)-1 {
				fmt.Fprintln(c.Out, text)
				break
			}
			fmt.Fprintf(c.Out, "%*s ", width, text)
		}
	}
}

func pidof(c *Call) int {
	opts, ok := c.parse("so:")
	if !ok {
		return 1
	}
	all, err := processes()
	if err != nil {
		return c.fail("/proc", err)
	}
	var found []string
	for _, p := range slices.Backward(all) {
		first, _, _ := strings.Cut(p.args, " ")
		if slices.Contains(c.Args, p.comm) || slices.Contains(c.Args, path.Base(first)) {
			found = append(found, strconv.Itoa(p.pid))
		}
	}
	if len(found) == 0 {
		return 1
	}
	if opts.has("s") {
		found = found[:1]
	}
	fmt.Fprintln(c.Out, strings.Join(found, " "))
	return 0
}
