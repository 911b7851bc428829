// One process for many scenarios of the Go client. The line protocol is in interop/README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

type scenario struct {
	name string
	run  func(*run)
}

func main() {
	logTo(os.Getenv("ROCKETMQ_GO_LOG_LEVEL"))
	scenarios := map[string]scenario{}
	var names []string
	for _, part := range [][]scenario{sends, bodies, routes, consumes, groups, pulls, refusals, flows} {
		for _, one := range part {
			scenarios[one.name] = one
			names = append(names, one.name)
		}
	}
	say("READY " + strings.Join(names, " "))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) >= 2 {
			go perform(newRun(words), scenarios)
		}
	}
	// Standard input closed: the runner is gone or done.
	os.Exit(0)
}

// logTo keeps the client quiet on standard error; with a level in the environment it writes a file instead.
func logTo(level string) {
	if level == "" {
		rlog.SetLogLevel("error")
	} else if err := rlog.SetOutputPath("rocketmq-client.log"); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func perform(r *run, scenarios map[string]scenario) {
	r.facts["ok"] = true
	func() {
		defer r.closeAll()
		defer func() {
			thrown := recover()
			if thrown == nil {
				return
			}
			r.facts["ok"] = false
			if story, isStory := thrown.(failed); isStory {
				r.facts["error"] = string(story)
			} else {
				r.facts["error"] = fmt.Sprintf("%v\n%s", thrown, debug.Stack())
			}
		}()
		one, known := scenarios[r.scenario]
		failIf(!known, "no such scenario: %s", r.scenario)
		one.run(r)
	}()
	facts, err := json.Marshal(r.facts)
	if err != nil {
		facts = []byte(`{"ok":false,"error":"facts that are no JSON"}`)
	}
	say("RESULT " + r.id + " " + string(facts))
}

var saying sync.Mutex

func say(line string) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Println(line)
}
