package main

import (
	"encoding/json"
	"math/rand"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
)

// Plain is a JSON patch or a JSON merge patch; without Result it was refused.
type Plain struct {
	Object json.RawMessage `json:"object"`
	Patch  json.RawMessage `json:"patch"`
	Result json.RawMessage `json:"result,omitempty"`
}

func jsonPatches(r *rand.Rand, times int) []Plain {
	out := []Plain{}
	for range 110 * times {
		operations := list{}
		for range r.Intn(3) + 1 {
			operation := object{"op": pick(r, "add", "remove", "replace", "move", "copy", "test", "test", "add"), "path": pointer(r)}
			switch operation["op"] {
			case "move", "copy":
				operation["from"] = pointer(r)
			case "add", "replace", "test":
				operation["value"] = randomValue(r, 2)
			}
			operations = append(operations, operation)
		}
		vector := Plain{Object: must(json.Marshal(randomObject(r, 3))), Patch: must(json.Marshal(operations))}
		patch := must(jsonpatch.DecodePatch(vector.Patch))
		if result, err := apply6902(patch, vector.Object); err == nil {
			vector.Result = result
		}
		out = append(out, vector)
	}
	return out
}

// apply6902 leaves out patches by which the library itself panics.
func apply6902(patch jsonpatch.Patch, document []byte) (result []byte, err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err, _ = recovered.(error)
		}
	}()
	return patch.Apply(document)
}

func mergePatches(r *rand.Rand, times int) []Plain {
	out := []Plain{}
	for range 60 * times {
		vector := Plain{Object: must(json.Marshal(randomObject(r, 3))), Patch: must(json.Marshal(randomObject(r, 3)))}
		vector.Result = must(jsonpatch.MergePatch(vector.Object, vector.Patch))
		out = append(out, vector)
	}
	return out
}

func pointer(r *rand.Rand) string {
	path := ""
	for range r.Intn(3) + r.Intn(2) {
		path += "/" + pick(r, "a", "b", "c~1d", "0", "1", "-1", "-", "2").(string)
	}
	return path
}

func randomObject(r *rand.Rand, depth int) object {
	out := object{}
	for _, key := range []string{"a", "b", "c/d", "0"} {
		chance(r, out, key, func() interface{} { return randomValue(r, depth-1) })
	}
	return out
}

func randomValue(r *rand.Rand, depth int) interface{} {
	if depth > 0 && r.Intn(2) == 0 {
		if r.Intn(2) == 0 {
			return randomObject(r, depth)
		}
		out := list{}
		for range r.Intn(3) {
			out = append(out, randomValue(r, depth-1))
		}
		return out
	}
	return pick(r, 1, 2.5, "x", true, nil, "y")
}
