// Command schema generates what Bramble knows about Kubernetes' kinds: TypeScript interfaces and the schema facts.
//
//	go run . types   ../../shared/api/types
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: schema types DIR")
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	switch args[0] {
	case "types":
		return writeTypes(scheme, args[1])
	}
	return fmt.Errorf("unknown command %q", args[0])
}
