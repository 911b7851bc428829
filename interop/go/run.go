package main

import (
	"fmt"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// run is one line of the runner's: `ID SCENARIO key=value ...`, and what comes of it.
type run struct {
	id       string
	scenario string
	values   map[string]string
	facts    map[string]any
	// What closes the clients that this scenario opened; the scenario's own goroutine alone touches it.
	open []func()
}

func newRun(words []string) *run {
	r := &run{id: words[0], scenario: words[1], values: map[string]string{}, facts: map[string]any{}}
	for _, word := range words[2:] {
		key, value, _ := strings.Cut(word, "=")
		if plain, err := url.PathUnescape(value); err == nil {
			value = plain
		}
		r.values[key] = value
	}
	return r
}

func (r *run) text(key string) string {
	value, given := r.values[key]
	failIf(!given, "%s needs %s=", r.scenario, key)
	return value
}

func (r *run) textOr(key, otherwise string) string {
	if value, given := r.values[key]; given {
		return value
	}
	return otherwise
}

func (r *run) numberOr(key string, otherwise int) int {
	value, given := r.values[key]
	if !given {
		return otherwise
	}
	number, err := strconv.Atoi(value)
	must(err, key)
	return number
}

// fresh is a topic or group name that no other scenario of this run, client or repetition uses.
func (r *run) fresh(name string) string {
	return name + "_" + r.textOr("run", "0") + "_" + r.id
}

func (r *run) closeLater(close func()) {
	r.open = append(r.open, close)
}

func (r *run) closeAll() {
	for i := len(r.open) - 1; i >= 0; i-- {
		func() {
			// The scenario has its verdict already.
			defer func() { _ = recover() }()
			r.open[i]()
		}()
	}
}

// failed is thrown when a scenario finds something else than it should: the text is the whole story.
type failed string

func failIf(wrong bool, format string, values ...any) {
	if wrong {
		panic(failed(fmt.Sprintf(format, values...)))
	}
}

func must(err error, what string) {
	failIf(err != nil, "%s: %v", what, err)
}

func mustEqual[T comparable](wanted, got T, what string) {
	failIf(wanted != got, "%s: wanted %v, got %v", what, wanted, got)
}

// mustRefuse wants an error that contains the words.
func mustRefuse(err error, words, what string) {
	failIf(err == nil, "%s: accepted", what)
	failIf(!strings.Contains(err.Error(), words), "%s: wanted `%s`, got `%v`", what, words, err)
}

// waitUntil polls; `story` tells what is missing when the time is up.
func waitUntil(limit time.Duration, done func() bool, story func() string) {
	for deadline := time.Now().Add(limit); !done(); time.Sleep(10 * time.Millisecond) {
		failIf(time.Now().After(deadline), "%s after %v", story(), limit)
	}
}

func contains(list []string, wanted string) bool {
	for _, one := range list {
		if one == wanted {
			return true
		}
	}
	return false
}

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
