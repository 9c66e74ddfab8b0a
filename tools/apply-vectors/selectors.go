package main

import (
	"math/rand"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// Selector is a query string and what it means: its canonical form or the error.
type Selector struct {
	Text  string `json:"text"`
	Value string `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
	// Matches holds, for each of matchedLabels, whether the label selector matches.
	Matches []bool `json:"matches,omitempty"`
}

var matchedLabels = []labels.Set{{}, {"a": "1"}, {"a": "in", "b": ""}, {"a": "10", "in": "a", "notin": "b"}, {"x.io/y": "a", "b": "b"}}

func labelSelectors(r *rand.Rand, times int) []Selector {
	words := []string{"a", "b", "in", "notin", "=", "==", "!=", "!", "(", ")", ",", " ", " in ", " notin ", " in (", ">", "<", "1", "9", "x.io/y", "-", "a/b/c", "\t", "A_", "=a", "(a,b)", ",b"}
	out := []Selector{}
	for range 140 * times {
		text := sentence(r, words, 8)
		selector, err := labels.Parse(text)
		vector := Selector{Text: text}
		if err != nil {
			vector.Error = err.Error()
		} else {
			vector.Value = selector.String()
			for _, set := range matchedLabels {
				vector.Matches = append(vector.Matches, selector.Matches(set))
			}
		}
		out = append(out, vector)
	}
	return out
}

func fieldSelectors(r *rand.Rand, times int) []Selector {
	words := []string{"a", "b.c", "=", "==", "!=", ",", "\\", "\\,", "\\=", "\\\\", "x", " ", "é"}
	out := []Selector{}
	for range 60 * times {
		text := sentence(r, words, 7)
		selector, err := fields.ParseSelector(text)
		vector := Selector{Text: text}
		if err != nil {
			vector.Error = err.Error()
		} else {
			vector.Value = selector.String()
		}
		out = append(out, vector)
	}
	return out
}

func sentence(r *rand.Rand, words []string, max int) string {
	var text strings.Builder
	for range r.Intn(max) + 1 {
		text.WriteString(words[r.Intn(len(words))])
	}
	return text.String()
}
