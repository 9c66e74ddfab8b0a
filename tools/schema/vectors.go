package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"
)

// objectVector is one object as upstream writes it both ways.
type objectVector struct {
	Group    string          `json:"group"`
	Version  string          `json:"version"`
	Kind     string          `json:"kind"`
	Protobuf []byte          `json:"protobuf"`
	JSON     json.RawMessage `json:"json"`
}

// quantityVector is one quantity as upstream reads and writes it; Canonical is absent when it does not parse.
type quantityVector struct {
	Text      string  `json:"text"`
	Canonical *string `json:"canonical,omitempty"`
	Error     string  `json:"error,omitempty"`
	Whole     string  `json:"whole,omitempty"`
	Milli     string  `json:"milli,omitempty"`
}

const objectsPerKind = 3

// writeVectors writes what the unit tests compare with: random objects of each kind, request bodies,
// and quantities.
func writeVectors(scheme *runtime.Scheme, dir string) error {
	random := rand.New(rand.NewSource(1))
	objects, err := objectVectors(scheme, random)
	if err != nil {
		return err
	}
	if err := writeCompressed(filepath.Join(dir, "objects.json.gz"), objects); err != nil {
		return err
	}
	decodings, err := decodingVectors(scheme)
	if err != nil {
		return err
	}
	if err := writeCompressed(filepath.Join(dir, "decodings.json.gz"), decodings); err != nil {
		return err
	}
	return writeCompressed(filepath.Join(dir, "quantities.json.gz"), quantityVectors(random))
}

func objectVectors(scheme *runtime.Scheme, random *rand.Rand) ([]objectVector, error) {
	toJSON := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, scheme, scheme, jsonserializer.SerializerOptions{})
	toProtobuf := protobuf.NewSerializer(scheme, scheme)
	var vectors []objectVector
	for _, group := range covered {
		if group.Group == "meta.k8s.io" {
			continue
		}
		kinds, err := kindsOf(scheme, group)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, kind{group.WithKind("DeleteOptions"), nil})
		for _, k := range kinds {
			if !scheme.Recognizes(k.GroupVersionKind) {
				continue
			}
			for i := 0; i < objectsPerKind; i++ {
				vector, err := objectVectorOf(scheme, k.GroupVersionKind, fillerOf(random, i), toJSON, toProtobuf)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", k.GroupVersionKind, err)
				}
				vectors = append(vectors, vector)
			}
		}
	}
	return vectors, nil
}

// objectVectorOf fills an object and lets it take the way over protobuf first, as that forgets what JSON can tell apart.
func objectVectorOf(scheme *runtime.Scheme, gvk schema.GroupVersionKind, filler *randfill.Filler, toJSON, toProtobuf runtime.Serializer) (objectVector, error) {
	vector := objectVector{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}
	object, err := scheme.New(gvk)
	if err != nil {
		return vector, err
	}
	filler.Fill(object)
	object.GetObjectKind().SetGroupVersionKind(gvk)
	var out bytes.Buffer
	if err := toProtobuf.Encode(object, &out); err != nil {
		return vector, err
	}
	vector.Protobuf = out.Bytes()
	decoded, _, err := toProtobuf.Decode(vector.Protobuf, nil, nil)
	if err != nil {
		return vector, err
	}
	decoded.GetObjectKind().SetGroupVersionKind(gvk)
	var text bytes.Buffer
	if err := toJSON.Encode(decoded, &text); err != nil {
		return vector, err
	}
	vector.JSON = text.Bytes()
	return vector, nil
}

var sampleStrings = []string{"", "a", "b", "example", "kube-system", "Ünïcödé ☃ 🙂", "line\nbreak \"quoted\" <&>", "__proto__"}
var sampleQuantities = []string{"0", "1", "100m", "1500m", "1Gi", "1.5Gi", "12e6", "5G", "0.5", "3n", "1.500", "-2"}
var sampleDocuments = []string{`{"apiVersion":"v1","kind":"Thing","n":9007199254740993,"f":1.5}`, `{}`, `{"a":[1,null,"x"]}`}

// A null would be lost in JSON, where it means no value at all.
var sampleValues = []string{`"x"`, `12`, `1.25`, `[1,2]`, `{"a":{}}`, `true`}

// fillerOf gives a filler: the first object of a kind is full, the later ones sparse.
func fillerOf(random *rand.Rand, round int) *randfill.Filler {
	nilChance := []float64{0, 0.5, 0.85}[round%3]
	pick := func(from []string) string { return from[random.Intn(len(from))] }
	return randfill.NewWithSeed(random.Int63()).NilChance(nilChance).NumElements(1, 2).MaxDepth(12).Funcs(
		func(s *string, c randfill.Continue) { *s = pick(sampleStrings) },
		func(t *metav1.TypeMeta, c randfill.Continue) {},
		func(t *metav1.Time, c randfill.Continue) {
			if c.Intn(4) > 0 {
				*t = metav1.Unix(c.Int63n(4e9)-1e8, 0)
			}
		},
		// JSON cannot tell a pointer to a zero time from none.
		func(t **metav1.Time, c randfill.Continue) {
			if c.Float64() >= nilChance {
				moment := metav1.Unix(c.Int63n(4e9)+1, 0)
				*t = &moment
			}
		},
		func(t **metav1.MicroTime, c randfill.Continue) {
			if c.Float64() >= nilChance {
				*t = &metav1.MicroTime{Time: time.Unix(c.Int63n(4e9)+1, c.Int63n(1e6)*1000)}
			}
		},
		func(t *metav1.MicroTime, c randfill.Continue) {
			if c.Intn(4) > 0 {
				t.Time = time.Unix(c.Int63n(4e9), c.Int63n(1e6)*1000)
			}
		},
		func(d *metav1.Duration, c randfill.Continue) { d.Duration = time.Duration(c.Int63n(1e14)) },
		func(q *resource.Quantity, c randfill.Continue) { *q = resource.MustParse(pick(sampleQuantities)) },
		func(v *intstr.IntOrString, c randfill.Continue) {
			if c.Bool() {
				*v = intstr.FromInt32(c.Int31() - 1<<30)
			} else {
				*v = intstr.FromString(pick(sampleStrings))
			}
		},
		func(r *runtime.RawExtension, c randfill.Continue) { r.Raw = []byte(pick(sampleDocuments)) },
		func(r *metav1.FieldsV1, c randfill.Continue) {
			r.Raw = []byte(`{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}`)
		},
		func(j *apiextensionsv1.JSON, c randfill.Continue) { j.Raw = []byte(pick(sampleValues)) },
		func(p *apiextensionsv1.JSONSchemaProps, c randfill.Continue) { fillSchemaProps(p, c) },
		func(p *apiextensionsv1.JSONSchemaPropsOrBool, c randfill.Continue) {
			p.Allows = c.Bool()
			if c.Bool() {
				p.Allows = true
				p.Schema = &apiextensionsv1.JSONSchemaProps{Type: "string"}
			}
		},
		func(p *apiextensionsv1.JSONSchemaPropsOrArray, c randfill.Continue) {
			if c.Bool() {
				p.Schema = &apiextensionsv1.JSONSchemaProps{Type: "integer"}
			} else {
				p.JSONSchemas = []apiextensionsv1.JSONSchemaProps{{Type: "integer"}, {Format: "date"}}
			}
		},
		func(p *apiextensionsv1.JSONSchemaPropsOrStringArray, c randfill.Continue) {
			if c.Bool() {
				p.Schema = &apiextensionsv1.JSONSchemaProps{Type: "integer"}
			} else {
				p.Property = []string{"a", "b"}
			}
		},
		func(f *float64, c randfill.Continue) { *f = float64(c.Int63n(1e6)) / 8 },
		func(n *int64, c randfill.Continue) {
			*n = []int64{0, 1, -1, 9007199254740993, -9223372036854775808, 30}[c.Intn(6)]
		},
	)
}

// fillSchemaProps fills one level of a CRD schema; the recursion of the type would not end by itself.
func fillSchemaProps(p *apiextensionsv1.JSONSchemaProps, c randfill.Continue) {
	number, length := 2.5, int64(7)
	p.ID, p.Type, p.Description = "id", "object", "<b>"
	p.Maximum, p.MaxLength, p.Nullable = &number, &length, c.Bool()
	p.Required, p.Enum = []string{"a"}, []apiextensionsv1.JSON{{Raw: []byte(`"x"`)}, {Raw: []byte(`{"b":1}`)}}
	p.Properties = map[string]apiextensionsv1.JSONSchemaProps{"a": {Type: "string"}, "": {Format: "int32"}, "__proto__": {}}
	p.AllOf = []apiextensionsv1.JSONSchemaProps{{Type: "string"}}
	c.Fill(&p.Default)
	c.Fill(&p.Items)
	c.Fill(&p.AdditionalProperties)
	c.Fill(&p.Dependencies)
	c.Fill(&p.XValidations)
	c.Fill(&p.XPreserveUnknownFields)
	c.Fill(&p.XListMapKeys)
}

func quantityVectors(random *rand.Rand) []quantityVector {
	texts := []string{
		"", " 1 ", "+5", "-0", "0.0", "007", "1.", ".5", ".", "-", "1.G", "1025.Ki", "1024Ki", "9Ei", "9223372036854775807Ki", "12E", "1e", "1E", "1e3", "1E-3",
		"1.3E+6", "1.500", "1000", "1000000", "1000Mi", "1024Mi", "1023Ki", "0.5Ki", "0.5Mi", "1Kii", "i", "1 Gi", "1_0", "0x10", "3.001n", "0.000000000001Ki",
		"1e-12", "999999999999999999", "9223372036854775807", "9223372036854775808", "123456789012345678901234567890", "1..2", "1.2.3", "1ki", "1K", "1mi", "1e2e3", "--1", "1e+", "1n", "1u",
	}
	suffixes := []string{"", "", "m", "k", "M", "G", "T", "P", "u", "n", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e1", "e2", "e3", "E-6", "e+4", "x"}
	for i := 0; i < 1500; i++ {
		var text strings.Builder
		text.WriteString([]string{"", "", "", "-", "+"}[random.Intn(5)])
		for digits := random.Intn(8); digits >= 0; digits-- {
			text.WriteByte("0000123456789"[random.Intn(13)])
		}
		if random.Intn(3) == 0 {
			text.WriteByte('.')
			for digits := random.Intn(12); digits > 0; digits-- {
				text.WriteByte("0000123456789"[random.Intn(13)])
			}
		}
		text.WriteString(suffixes[random.Intn(len(suffixes))])
		texts = append(texts, text.String())
	}
	vectors := make([]quantityVector, 0, len(texts))
	for _, text := range texts {
		vector := quantityVector{Text: text}
		var quantity resource.Quantity
		quoted, err := json.Marshal(text)
		if err == nil {
			err = quantity.UnmarshalJSON(quoted)
		}
		if err != nil {
			vector.Error = err.Error()
		} else {
			canonical := quantity.String()
			vector.Canonical = &canonical
			vector.Whole, vector.Milli = fmt.Sprint(quantity.Value()), fmt.Sprint(quantity.MilliValue())
		}
		vectors = append(vectors, vector)
	}
	return vectors
}

func writeCompressed(path string, value any) error {
	var out bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(compressor)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	if err := compressor.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
