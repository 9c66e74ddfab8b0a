package main

import (
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kubernetes/pkg/generated/openapi"
)

const referencePrefix = "#/definitions/"

// openAPIDefinitions gives upstream's generated definitions by OpenAPI model name (`io.k8s.api.core.v1.Pod`).
func openAPIDefinitions() map[string]common.OpenAPIDefinition {
	return openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef(referencePrefix + path) })
}
