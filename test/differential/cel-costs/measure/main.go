// Says what apiextensions-apiserver makes of rules: what each expression costs on each value, and which errors objects get
// within the limits that a server sets. Reads questions (questions.ts) and prints answers, both as JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	kjson "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

type questions struct {
	Schema      v1.JSONSchemaProps `json:"schema"`
	Values      []json.RawMessage  `json:"values"`
	Expressions []string           `json:"expressions"`
	Bounded     []bounded          `json:"bounded"`
}

type bounded struct {
	Name   string             `json:"name"`
	Schema v1.JSONSchemaProps `json:"schema"`
	Value  json.RawMessage    `json:"value"`
}

type answers struct {
	Costs  map[string][]answer `json:"costs"`
	Errors map[string][]string `json:"errors"`
}

type answer struct {
	Cost  int64  `json:"cost"`
	Error string `json:"error,omitempty"`
}

// More than anything here costs.
const unbounded = int64(1) << 40

func main() {
	var asked questions
	err := json.NewDecoder(os.Stdin).Decode(&asked)
	if err == nil {
		var given answers
		if given, err = answersTo(asked); err == nil {
			encoder := json.NewEncoder(os.Stdout)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", " ")
			err = encoder.Encode(given)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answersTo(asked questions) (answers, error) {
	given := answers{Costs: map[string][]answer{}, Errors: map[string][]string{}}
	for _, expression := range asked.Expressions {
		props := asked.Schema.DeepCopy()
		props.XValidations = v1.ValidationRules{{Rule: expression}}
		for _, text := range asked.Values {
			errs, cost, err := validate(props, text, uint64(unbounded), unbounded)
			if err != nil {
				return given, err
			}
			one := answer{Cost: cost}
			if len(errs) > 0 {
				one.Error = errs[0]
			}
			given.Costs[expression] = append(given.Costs[expression], one)
		}
	}
	for _, each := range asked.Bounded {
		errs, _, err := validate(&each.Schema, each.Value, celconfig.PerCallLimit, celconfig.RuntimeCELCostBudget)
		if err != nil {
			return given, err
		}
		given.Errors[each.Name] = errs
	}
	return given, nil
}

func validate(props *v1.JSONSchemaProps, text []byte, perCall uint64, budget int64) ([]string, int64, error) {
	var internal apiextensions.JSONSchemaProps
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, &internal, nil); err != nil {
		return nil, 0, err
	}
	structural, err := schema.NewStructural(&internal)
	if err != nil {
		return nil, 0, err
	}
	var value interface{}
	if err := kjson.Unmarshal(text, &value); err != nil {
		return nil, 0, err
	}
	found, left := cel.NewValidator(structural, false, perCall).Validate(context.Background(), nil, structural, value, value, budget)
	errs := []string{}
	for _, each := range found {
		errs = append(errs, each.Error())
	}
	return errs, budget - left, nil
}
