package main

import (
	"reflect"
	"strings"
)

// field is one JSON field of a Go struct; fields of inlined structs stand among those of the outer one.
type field struct {
	name      string
	goName    string
	goType    reflect.Type
	tag       reflect.StructTag
	omitempty bool
	omitzero  bool
	asString  bool
}

// fieldsOf lists the JSON fields of a struct in declaration order.
func fieldsOf(structType reflect.Type) []field {
	var fields []field
	for i := 0; i < structType.NumField(); i++ {
		structField := structType.Field(i)
		tag := structField.Tag.Get("json")
		parts := strings.Split(tag, ",")
		name, options := parts[0], parts[1:]
		if name == "-" || (!structField.IsExported() && !structField.Anonymous) {
			continue
		}
		if name == "" && structField.Anonymous {
			embedded := structField.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			fields = append(fields, fieldsOf(embedded)...)
			continue
		}
		if name == "" {
			name = structField.Name
		}
		f := field{name: name, goName: structField.Name, goType: structField.Type, tag: structField.Tag}
		for _, option := range options {
			switch option {
			case "omitempty":
				f.omitempty = true
			case "omitzero":
				f.omitzero = true
			case "string":
				f.asString = true
			}
		}
		fields = append(fields, f)
	}
	return fields
}
