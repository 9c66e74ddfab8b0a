// Writes what apimachinery answers to scripted and random writes, patches and selectors, as vectors for the
// tests of shared/api/managed-fields, shared/api/patch and shared/api/selector.
//
//	go run . > ../../test/fixtures/apply-vectors.json
//
// For a longer search, write more of them somewhere else and name that file to the tests:
//
//	go run . -seed 7 -times 20 > /tmp/vectors.json && APPLY_VECTORS=/tmp/vectors.json bun test shared/api
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
)

// Script is one object's history.
type Script struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// Schema names the OpenAPI schema of a custom resource in Vectors.Schemas; "deduced" is none.
	Schema string `json:"schema,omitempty"`
	Steps  []Step `json:"steps"`
}

// Step is one write and what came of it. The object after an update is the object written; after an apply it is Result.
type Step struct {
	Op          string `json:"op"`
	Manager     string `json:"manager"`
	Subresource string `json:"subresource,omitempty"`
	Version     string `json:"version,omitempty"`
	Force       bool   `json:"force,omitempty"`
	// Schema is the script's at this step, where a custom resource's schema changes.
	Schema string `json:"schema,omitempty"`
	// Reset lists top-level fields that the endpoint resets.
	Reset []string `json:"reset,omitempty"`
	// Only lists patterns of the fields that the endpoint writes, elements joined by slashes.
	Only   []string        `json:"only,omitempty"`
	Object json.RawMessage `json:"object"`

	Error  *Failure        `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	// Managed is the list of entries; times are 2000-01-01 plus the number of the step in seconds.
	Managed json.RawMessage `json:"managed,omitempty"`
}

// Failure is the status of an error.
type Failure struct {
	Code    int32           `json:"code"`
	Message string          `json:"message"`
	Causes  json.RawMessage `json:"causes,omitempty"`
}

// Strategic is one strategic merge patch.
type Strategic struct {
	Kind   string          `json:"kind"`
	Object json.RawMessage `json:"object"`
	Patch  json.RawMessage `json:"patch"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// Vectors is the file.
type Vectors struct {
	Schemas      map[string]json.RawMessage `json:"schemas"`
	Scripts      []Script                   `json:"scripts"`
	Strategic    []Strategic                `json:"strategic"`
	JSONPatches  []Plain                    `json:"jsonPatches"`
	MergePatches []Plain                    `json:"mergePatches"`
	// Labels and Fields are selectors; MatchedLabels is what the former were asked about.
	Labels        []Selector  `json:"labels"`
	MatchedLabels interface{} `json:"matchedLabels"`
	Fields        []Selector  `json:"fields"`
}

func main() {
	seed := flag.Int64("seed", 35, "where random writes begin")
	times := flag.Int("times", 1, "so many times the committed number of random writes")
	flag.Parse()
	r := rand.New(rand.NewSource(*seed))
	vectors := Vectors{Schemas: customSchemas()}
	for _, script := range append(handWritten(), randomScripts(r, *times)...) {
		vectors.Scripts = append(vectors.Scripts, run(script))
	}
	vectors.Strategic = strategicVectors(r, *times)
	vectors.Labels, vectors.MatchedLabels = labelSelectors(r, *times), matchedLabels
	vectors.Fields = fieldSelectors(r, *times)
	vectors.JSONPatches, vectors.MergePatches = jsonPatches(r, *times), mergePatches(r, *times)
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(vectors); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
