package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
)

type object = map[string]interface{}
type list = []interface{}

// chance gives a value into an object now and then.
func chance(r *rand.Rand, into object, key string, value func() interface{}) {
	if r.Intn(2) == 0 {
		into[key] = value()
	}
}

func pick(r *rand.Rand, values ...interface{}) interface{} { return values[r.Intn(len(values))] }

func subset(r *rand.Rand, values ...interface{}) list {
	out := list{}
	for _, i := range r.Perm(len(values)) {
		if r.Intn(2) == 0 {
			out = append(out, values[i])
		}
	}
	return out
}

func pairs(r *rand.Rand) interface{} {
	out := object{}
	for _, key := range []string{"a", "b", "c"} {
		chance(r, out, key, func() interface{} { return pick(r, "1", "2") })
	}
	return out
}

func head(apiVersion, kind string, r *rand.Rand) object {
	metadata := object{"name": "x", "namespace": "n"}
	chance(r, metadata, "labels", func() interface{} { return pairs(r) })
	return object{"apiVersion": apiVersion, "kind": kind, "metadata": metadata}
}

func randomPodSpec(r *rand.Rand) object {
	containers := list{}
	for _, name := range subset(r, "a", "b", "c") {
		container := object{"name": name}
		chance(r, container, "image", func() interface{} { return pick(r, "i:1", "i:2") })
		chance(r, container, "args", func() interface{} { return subset(r, "x", "y") })
		chance(r, container, "env", func() interface{} {
			env := list{}
			for _, key := range subset(r, "E", "F") {
				env = append(env, object{"name": key, "value": pick(r, "1", "2")})
			}
			return env
		})
		chance(r, container, "ports", func() interface{} {
			ports := list{}
			for _, port := range subset(r, 80, 81) {
				item := object{"containerPort": port}
				chance(r, item, "protocol", func() interface{} { return pick(r, "TCP", "UDP") })
				ports = append(ports, item)
			}
			return ports
		})
		containers = append(containers, container)
	}
	spec := object{"containers": containers}
	chance(r, spec, "nodeSelector", func() interface{} { return pairs(r) })
	chance(r, spec, "serviceAccountName", func() interface{} { return pick(r, "s", "t") })
	chance(r, spec, "tolerations", func() interface{} {
		return subset(r, object{"key": "k", "operator": "Exists"}, object{"operator": "Exists"})
	})
	chance(r, spec, "securityContext", func() interface{} {
		return object{"runAsUser": pick(r, 1, 2), "supplementalGroups": subset(r, 1, 2)}
	})
	chance(r, spec, "imagePullSecrets", func() interface{} { return subset(r, object{"name": "p"}, object{"name": "q"}) })
	return spec
}

func randomDeployment(r *rand.Rand) object {
	out := head("apps/v1", "Deployment", r)
	spec := object{"template": object{"metadata": object{"labels": pairs(r)}, "spec": randomPodSpec(r)}}
	chance(r, spec, "replicas", func() interface{} { return pick(r, 1, 2, 3) })
	chance(r, spec, "selector", func() interface{} { return object{"matchLabels": pairs(r)} })
	chance(r, spec, "strategy", func() interface{} {
		return object{"type": "RollingUpdate", "rollingUpdate": object{"maxSurge": pick(r, 1, "25%")}}
	})
	out["spec"] = spec
	return out
}

func randomWidget(r *rand.Rand) object {
	out := head("example.com/v1", "Widget", r)
	spec := object{}
	chance(r, spec, "size", func() interface{} { return pick(r, 1, 2) })
	chance(r, spec, "port", func() interface{} { return pick(r, 80, "http") })
	chance(r, spec, "parts", func() interface{} {
		parts := list{}
		for _, name := range subset(r, "a", "b", "c", "d") {
			part := object{"name": name}
			chance(r, part, "count", func() interface{} { return pick(r, 1, 2) })
			chance(r, part, "tags", func() interface{} { return subset(r, "x", "y") })
			parts = append(parts, part)
		}
		return parts
	})
	chance(r, spec, "tags", func() interface{} { return subset(r, "x", "y", "z") })
	chance(r, spec, "numbers", func() interface{} { return subset(r, 1, 2.5, 30) })
	chance(r, spec, "plain", func() interface{} { return subset(r, "x", "y") })
	chance(r, spec, "whole", func() interface{} { return pairs(r) })
	delete(asObject(spec["whole"]), "c")
	chance(r, spec, "labels", func() interface{} { return pairs(r) })
	chance(r, spec, "nested", func() interface{} {
		return object{"n": object{"x": pick(r, 1, 2)}, "m": object{}, "o": object{"y": 1}}
	})
	chance(r, spec, "free", func() interface{} {
		return object{"known": pick(r, "a", "b"), "other": pick(r, 1, "x", object{"p": 1}, list{1}, nil)}
	})
	if r.Intn(4) > 0 {
		out["spec"] = spec
	}
	return out
}

func asObject(value interface{}) object {
	if out, ok := value.(object); ok {
		return out
	}
	return object{}
}

func randomScripts(r *rand.Rand, times int) []Script {
	var scripts []Script
	kinds := []struct {
		kind, schema string
		count        int
		make         func(*rand.Rand) object
	}{
		{"Deployment", "", 11, randomDeployment},
		{"Widget", "widget", 11, randomWidget},
		{"Widget", "deduced", 6, randomWidget},
	}
	for _, kind := range kinds {
		for i := 0; i < kind.count*times; i++ {
			script := Script{Name: fmt.Sprintf("random %s %s %d", kind.kind, kind.schema, i), Kind: kind.kind, Schema: kind.schema}
			for range 7 {
				step := Step{Op: "apply", Manager: pick(r, "one", "two", "three").(string), Force: r.Intn(3) > 0}
				if r.Intn(3) == 0 {
					step.Op, step.Force = "update", false
				}
				step.Object = must(json.Marshal(kind.make(r)))
				script.Steps = append(script.Steps, step)
			}
			scripts = append(scripts, script)
		}
	}
	return scripts
}
