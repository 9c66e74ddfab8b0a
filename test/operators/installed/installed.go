//go:build tools

// Package installed pins operators that people install, whose programs run against Bramble's API server.
package installed

import (
	_ "github.com/fluxcd/kustomize-controller"
)
