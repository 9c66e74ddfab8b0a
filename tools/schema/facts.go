package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// scalars are Go types whose JSON is not their structure, by the name that the facts give them.
var scalars = map[string]string{
	metaPackage + ".Time":                                  "time",
	metaPackage + ".MicroTime":                             "microTime",
	metaPackage + ".Duration":                              "duration",
	metaPackage + ".FieldsV1":                              "fieldsV1",
	"k8s.io/apimachinery/pkg/api/resource.Quantity":        "quantity",
	"k8s.io/apimachinery/pkg/util/intstr.IntOrString":      "intOrString",
	"k8s.io/apimachinery/pkg/runtime.RawExtension":         "rawExtension",
	"k8s.io/apimachinery/pkg/runtime.Object":               "rawExtension",
	apiextensionsPackage + ".JSON":                         "json",
	apiextensionsPackage + ".JSONSchemaPropsOrBool":        "schemaOrBool",
	apiextensionsPackage + ".JSONSchemaPropsOrArray":       "schemaOrArray",
	apiextensionsPackage + ".JSONSchemaPropsOrStringArray": "schemaOrStrings",
}

const apiextensionsPackage = "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

// modelPrefix is left out of model names in the facts.
const modelPrefix = "io.k8s."

// fieldFacts is written as [name, protobuf number, type, flags, more]; see shared/api/schema/facts.ts for the grammar.
type fieldFacts struct {
	name     string
	number   int
	typeText string
	flags    string
	more     moreFacts
}

type moreFacts struct {
	ListType      string   `json:"listType,omitempty"`
	ListMapKeys   []string `json:"listMapKeys,omitempty"`
	MapType       string   `json:"mapType,omitempty"`
	PatchStrategy []string `json:"patchStrategy,omitempty"`
	PatchMergeKey string   `json:"patchMergeKey,omitempty"`
	Enum          []any    `json:"enum,omitempty"`
	ElementEnum   []any    `json:"elementEnum,omitempty"`
	Default       any      `json:"default,omitempty"`
}

type modelFacts struct {
	MapType string            `json:"mapType,omitempty"`
	Unions  any               `json:"unions,omitempty"`
	Fields  []json.RawMessage `json:"fields"`
}

// factWriter collects the models that the covered kinds reach.
type factWriter struct {
	definitions map[string]common.OpenAPIDefinition
	models      map[string]json.RawMessage
}

// furtherModels are published, but no kinds.
var furtherModels = []any{version.Info{}}

// writeFacts writes the facts of every covered kind: kinds and versions first, then one model a line, so that a reader
// finds a model without parsing the rest.
func writeFacts(scheme *runtime.Scheme, path string) error {
	w := &factWriter{definitions: openAPIDefinitions(), models: map[string]json.RawMessage{}}
	var out bytes.Buffer
	out.WriteString("{\"kinds\":[\n")
	first := true
	for _, group := range covered {
		kinds, err := kindsOf(scheme, group)
		if err != nil {
			return err
		}
		for _, k := range kinds {
			if err := w.addModel(k.goType); err != nil {
				return err
			}
			if !first {
				out.WriteString(",\n")
			}
			first = false
			line, err := json.Marshal([]string{k.Group, k.Version, k.Kind, shortModel(k.goType)})
			if err != nil {
				return err
			}
			out.Write(line)
		}
	}
	for _, value := range furtherModels {
		if err := w.addModel(reflect.TypeOf(value)); err != nil {
			return err
		}
	}
	versions, err := json.Marshal(optionVersions(scheme))
	if err != nil {
		return err
	}
	fmt.Fprintf(&out, "\n],\"optionVersions\":%s,\n\"models\":{\n", versions)
	for i, name := range slices.Sorted(keys(w.models)) {
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(&out, "%q:%s", name, w.models[name])
	}
	out.WriteString("\n}}\n")
	return os.WriteFile(path, out.Bytes(), 0o644)
}

func shortModel(t reflect.Type) string {
	return strings.TrimPrefix(modelName(t), modelPrefix)
}

func (w *factWriter) addModel(t reflect.Type) error {
	name := shortModel(t)
	if name == "" {
		return fmt.Errorf("%s has no OpenAPI model", goName(t))
	}
	if _, done := w.models[name]; done {
		return nil
	}
	w.models[name] = nil
	definition, ok := w.definitions[modelName(t)]
	// AdmissionReview and its parts are not published, hence have no definition; tags alone describe them.
	published := ok
	facts := modelFacts{Fields: []json.RawMessage{}}
	facts.MapType, _ = definition.Schema.Extensions.GetString("x-kubernetes-map-type")
	facts.Unions = definition.Schema.Extensions["x-kubernetes-unions"]
	for i := 0; i < t.NumField(); i++ {
		structField := t.Field(i)
		if goName(structField.Type) == metaPackage+".TypeMeta" {
			facts.Fields = append(facts.Fields, json.RawMessage(`["kind",0,"string","o"]`), json.RawMessage(`["apiVersion",0,"string","o"]`))
			continue
		}
		if inline := strings.HasPrefix(structField.Tag.Get("json"), ",inline"); inline {
			number, err := protobufNumber(structField.Tag)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", name, structField.Name, err)
			}
			if err := w.addModel(structField.Type); err != nil {
				return err
			}
			facts.Fields = append(facts.Fields, encodeField(fieldFacts{"", number, "@" + shortModel(structField.Type), "i", moreFacts{}}))
			continue
		}
		fields := fieldsOf(reflect.StructOf([]reflect.StructField{{Name: "X", Type: structField.Type, Tag: structField.Tag}}))
		if len(fields) == 0 {
			continue
		}
		property, declared := definition.Schema.Properties[fields[0].name]
		if published && !declared {
			return fmt.Errorf("%s.%s is not in OpenAPI", name, fields[0].name)
		}
		encoded, err := w.describe(fields[0], property, slices.Contains(definition.Schema.Required, fields[0].name))
		if err != nil {
			return fmt.Errorf("%s.%s: %w", name, fields[0].name, err)
		}
		facts.Fields = append(facts.Fields, encoded)
	}
	encoded, err := json.Marshal(facts)
	w.models[name] = encoded
	return err
}

func (w *factWriter) describe(f field, property spec.Schema, required bool) (json.RawMessage, error) {
	if f.asString {
		return nil, fmt.Errorf("the string option of JSON tags is not covered")
	}
	number, err := protobufNumber(f.tag)
	if err != nil {
		return nil, err
	}
	facts := fieldFacts{name: f.name, number: number}
	if facts.typeText, err = w.typeText(f.goType); err != nil {
		return nil, err
	}
	pointer := f.goType.Kind() == reflect.Pointer
	if f.omitempty && f.goType.Kind() != reflect.Struct {
		facts.flags += "o"
	}
	if f.omitzero {
		facts.flags += "z"
	}
	if pointer {
		facts.flags += "p"
	}
	if required {
		facts.flags += "r"
	}
	extensions := property.Extensions
	facts.more.ListType, _ = extensions.GetString("x-kubernetes-list-type")
	facts.more.ListMapKeys, _ = extensions.GetStringSlice("x-kubernetes-list-map-keys")
	facts.more.MapType, _ = extensions.GetString("x-kubernetes-map-type")
	if strategy, ok := extensions.GetString("x-kubernetes-patch-strategy"); ok {
		facts.more.PatchStrategy = strings.Split(strategy, ",")
	}
	facts.more.PatchMergeKey, _ = extensions.GetString("x-kubernetes-patch-merge-key")
	facts.more.Enum = property.Enum
	if element := elementOf(property); element != nil {
		facts.more.ElementEnum = element.Enum
	}
	if property.Default != nil {
		if isZeroDefault(property.Default) {
			facts.flags += "d"
		} else {
			facts.more.Default = property.Default
		}
	}
	if elementHasDefault(property) {
		facts.flags += "e"
	}
	return encodeField(facts), nil
}

// elementHasDefault tells whether OpenAPI gives the elements of a list or map a (zero) default.
func elementHasDefault(property spec.Schema) bool {
	element := elementOf(property)
	return element != nil && (element.Default != nil || elementHasDefault(*element))
}

// elementOf gives the schema of the elements of a list or map.
func elementOf(property spec.Schema) *spec.Schema {
	switch {
	case property.Items != nil:
		return property.Items.Schema
	case property.AdditionalProperties != nil:
		return property.AdditionalProperties.Schema
	}
	return nil
}

func isZeroDefault(value any) bool {
	if object, ok := value.(map[string]interface{}); ok {
		return len(object) == 0
	}
	return reflect.ValueOf(value).IsZero()
}

func encodeField(f fieldFacts) json.RawMessage {
	values := []any{f.name, f.number, f.typeText, f.flags}
	if more, err := json.Marshal(f.more); err == nil && string(more) != "{}" {
		values = append(values, json.RawMessage(more))
	} else if f.flags == "" {
		values = values[:3]
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return encoded
}

// protobufNumber reads the field number from a tag, 0 when the field is not in protobuf. The wire type beside it is no use:
// some tags say another than the .proto file, which follows the Go type.
func protobufNumber(tag reflect.StructTag) (int, error) {
	text := tag.Get("protobuf")
	if text == "" || text == "-" {
		return 0, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) < 2 {
		return 0, fmt.Errorf("protobuf tag %q", text)
	}
	return strconv.Atoi(parts[1])
}

// typeText writes a type: a scalar's name, `@model`, `[]element`, `{}value`, or `[=]element` for a list that is a
// protobuf message of its own.
func (w *factWriter) typeText(t reflect.Type) (string, error) {
	if scalar, ok := scalars[goName(t)]; ok {
		if strings.HasPrefix(scalar, "schemaOr") {
			schemaProps, _ := t.FieldByName("Schema")
			return scalar, w.addModel(schemaProps.Type.Elem())
		}
		return scalar, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.typeText(t.Elem())
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "bool", nil
	case reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Float64:
		return t.Kind().String(), nil
	case reflect.Interface:
		return "json", nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes", nil
		}
		element, err := w.typeText(t.Elem())
		if _, isMessage := reflect.New(t).Interface().(interface{ Marshal() ([]byte, error) }); isMessage {
			return "[=]" + element, err
		}
		return "[]" + element, err
	case reflect.Map:
		element, err := w.typeText(t.Elem())
		return "{}" + element, err
	case reflect.Struct:
		return "@" + shortModel(t), w.addModel(t)
	}
	return "", fmt.Errorf("type %s is not covered", t)
}
