package main

import (
	"encoding/json"
	"math/rand"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

func strategicVectors(r *rand.Rand, times int) []Strategic {
	kinds := map[string]interface{}{
		"Pod": corev1.Pod{}, "Deployment": appsv1.Deployment{}, "Service": corev1.Service{}, "Node": corev1.Node{},
	}
	var out []Strategic
	add := func(kind, from, patch string) {
		vector := Strategic{Kind: kind, Object: json.RawMessage(from), Patch: json.RawMessage(patch)}
		result, err := strategicpatch.StrategicMergePatch([]byte(from), []byte(patch), kinds[kind])
		if err != nil {
			vector.Error = err.Error()
		} else {
			vector.Result = result
		}
		out = append(out, vector)
	}
	containers := `{"spec":{"containers":[{"name":"a","image":"1","args":["x"]},{"name":"b","image":"1"},{"name":"c"}],"volumes":[{"name":"v","emptyDir":{"medium":"Memory"}}],"nodeSelector":{"a":"1","b":"2"},"tolerations":[{"key":"k"}]}}`
	for _, patch := range []string{
		`{"spec":{"containers":[{"name":"b","image":"2"}]}}`,
		`{"spec":{"containers":[{"name":"d","image":"2","env":[{"name":"x","value":null}]}]}}`,
		`{"spec":{"containers":[{"name":"b","$patch":"delete"}]}}`,
		`{"spec":{"containers":[{"name":"z","$patch":"delete"},{"name":"y"}]}}`,
		`{"spec":{"containers":[{"$patch":"replace"},{"name":"y"}]}}`,
		`{"spec":{"containers":[{"name":"y","$patch":"replace"}]}}`,
		`{"spec":{"containers":[{"name":"y","$patch":"merge"}]}}`,
		`{"spec":{"containers":[{"name":"y","$patch":"other"}]}}`,
		`{"spec":{"containers":[{"image":"y"}]}}`,
		`{"spec":{"containers":["y"]}}`,
		`{"spec":{"containers":[["y"]]}}`,
		`{"spec":{"containers":null}}`,
		`{"spec":{"containers":"x"}}`,
		`{"spec":{"containers":[{"name":"a","args":["y"]}]}}`,
		`{"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],"containers":[{"name":"a","image":"3"}]}}`,
		`{"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"n"},{"name":"a"}],"containers":[{"name":"n","image":"3"},{"name":"a","image":"9"},{"name":"b","$patch":"delete"}]}}`,
		`{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}]}}`,
		`{"spec":{"$setElementOrder/containers":[{"name":"b"}],"containers":[{"name":"a"}]}}`,
		`{"spec":{"$setElementOrder/containers":[{"image":"b"}],"containers":[{"name":"a"}]}}`,
		`{"spec":{"$setElementOrder/initContainers":[{"name":"q"},{"name":"p"}],"initContainers":[{"name":"q"},{"name":"p"}]}}`,
		`{"spec":{"$setElementOrder/containers":"x"}}`,
		`{"spec":{"$setElementOrder/containers":[{},{"name":"a"}]}}`,
		`{"spec":{"$setElementOrder/containers":[{},null]}}`,
		`{"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"},"x"]}}`,
		`{"spec":{"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/"}}]}}`,
		`{"spec":{"volumes":[{"name":"v","$retainKeys":["name"],"hostPath":{"path":"/"}}]}}`,
		`{"spec":{"volumes":[{"name":"v","$retainKeys":"name"}]}}`,
		`{"spec":{"nodeSelector":{"a":null,"c":"3"}}}`,
		`{"spec":{"nodeSelector":{"$patch":"replace","c":"3"}}}`,
		`{"spec":{"nodeSelector":{"$patch":"delete"}}}`,
		`{"spec":{"nodeSelector":{"$patch":"what"}}}`,
		`{"spec":{"nodeSelector":null}}`,
		`{"spec":{"affinity":{"$patch":"delete"}}}`,
		`{"spec":{"affinity":{"nodeAffinity":{"$patch":"replace","x":1}}}}`,
		`{"spec":{"tolerations":[{"key":"l"}]}}`,
		`{"spec":{"tolerations":[]}}`,
		`{"spec":{"hostAliases":[{"ip":"1.1.1.1","hostnames":null}]}}`,
		`{"$patch":"delete"}`, `{"$patch":"replace","metadata":{"name":"x"}}`, `{}`,
		`{"$retainKeys":["metadata"],"metadata":{"name":"x"}}`,
	} {
		add("Pod", containers, patch)
	}
	finalizers := `{"metadata":{"finalizers":["a","b","c"],"ownerReferences":[{"uid":"1","name":"x"},{"uid":"2"}]}}`
	for _, patch := range []string{
		`{"metadata":{"finalizers":["d","a"]}}`,
		`{"metadata":{"$deleteFromPrimitiveList/finalizers":["a","z"]}}`,
		`{"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["e"],"$setElementOrder/finalizers":["e","c","b"]}}`,
		`{"metadata":{"$setElementOrder/finalizers":["c","b","a"]}}`,
		`{"metadata":{"$setElementOrder/finalizers":["c","d","a"],"finalizers":["d"]}}`,
		`{"metadata":{"$setElementOrder/finalizers":["a"],"finalizers":["d"]}}`,
		`{"metadata":{"$deleteFromPrimitiveList/finalizers":null}}`,
		`{"metadata":{"$deleteFromPrimitiveList/labels":["x"]}}`,
		`{"metadata":{"finalizers":null}}`, `{"metadata":{"finalizers":[]}}`, `{"metadata":{"finalizers":[1]}}`,
		`{"metadata":{"ownerReferences":[{"uid":"1","$patch":"delete"},{"uid":"3"}]}}`,
		`{"metadata":{"$setElementOrder/nothing":["x"]}}`,
	} {
		add("Pod", finalizers, patch)
	}
	add("Deployment", `{"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}}`, `{"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}}`)
	add("Service", `{"spec":{"ports":[{"port":80,"targetPort":1},{"port":81}]}}`, `{"spec":{"ports":[{"port":80,"targetPort":"x"},{"port":82}],"$setElementOrder/ports":[{"port":82},{"port":80}]}}`)
	add("Service", `{"status":{"conditions":[{"type":"A","status":"True"}]}}`, `{"status":{"conditions":[{"type":"A","status":"False"},{"type":"B"}]}}`)
	add("Node", `{"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"1"}]}}`, `{"status":{"conditions":[{"type":"Ready","status":"False"}],"addresses":[{"type":"Hostname","address":"n"}],"$setElementOrder/conditions":[{"type":"Ready"}]}}`)
	for range 60 * times {
		from := object{"spec": randomPodSpec(r), "metadata": object{"labels": pairs(r), "finalizers": subset(r, "a", "b", "c")}}
		patch := object{"spec": direct(r, randomPodSpec(r)), "metadata": object{"labels": pairs(r), "finalizers": subset(r, "b", "c", "d")}}
		if r.Intn(2) == 0 {
			asObject(patch["metadata"])["$setElementOrder/finalizers"] = subset(r, "a", "b", "c", "d")
		}
		add("Pod", string(must(json.Marshal(from))), string(must(json.Marshal(patch))))
	}
	return out
}

// direct puts directives into a pod spec.
func direct(r *rand.Rand, spec object) object {
	containers, _ := spec["containers"].(list)
	order := list{}
	for _, item := range containers {
		container := asObject(item)
		if r.Intn(5) == 0 {
			container["$patch"] = "delete"
		} else {
			order = append(order, object{"name": container["name"]})
		}
		if r.Intn(6) == 0 {
			container["args"] = nil
		}
	}
	if r.Intn(2) == 0 {
		spec["$setElementOrder/containers"] = append(order, subset(r, object{"name": "a"}, object{"name": "b"})...)
	}
	if r.Intn(6) == 0 {
		asObject(spec["nodeSelector"])["$patch"] = "replace"
	}
	return spec
}
