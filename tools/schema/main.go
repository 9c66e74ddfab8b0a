// Command schema generates what Bramble knows about Kubernetes' kinds: TypeScript interfaces, the schema facts,
// and the vectors that tests compare with.
//
//	go run . types   ../../shared/api/types
//	go run . facts   ../../shared/api/schema/facts.generated.json
//	go run . vectors ../../test/fixtures/schema
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
		return fmt.Errorf("usage: schema types DIR | facts FILE | vectors DIR")
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	switch args[0] {
	case "vectors":
		return writeVectors(scheme, args[1])
	case "facts":
		return writeFacts(scheme, args[1])
	case "types":
		return writeTypes(scheme, args[1])
	}
	return fmt.Errorf("unknown command %q", args[0])
}
