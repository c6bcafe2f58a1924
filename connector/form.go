package connector

import (
	"fmt"
	"slices"
)

// Form is what a form for the input of an action, or for the configuration of a
// trigger, needs.
type Form struct {
	Name        string  `json:"name"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Fields      []Field `json:"fields"` // in the order to show them
}

// Field is a field of a Form.
type Field struct {
	Name        string    `json:"name"` // in the JSON of the input
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Type        FieldType `json:"type"`
	Required    bool      `json:"required,omitempty"` // within its object, if that is set
	Enum        []string  `json:"enum,omitempty"`     // the values that are allowed; if empty, there is no such list
	Examples    []string  `json:"examples,omitempty"` // values among others
	Unit        string    `json:"unit,omitempty"`     // of a number
	Default     *bool     `json:"default,omitempty"`  // what null stands for
	Fields      []Field   `json:"fields,omitempty"`   // of an object
	Items       *Field    `json:"items,omitempty"`    // of a list or a map: its elements, without a name
}

// FieldType is the type of a Field.
type FieldType string

// The types of fields.
const (
	TypeString   FieldType = "string"
	TypeInteger  FieldType = "integer"
	TypeNumber   FieldType = "number"
	TypeBoolean  FieldType = "boolean"
	TypeTime     FieldType = "time"     // an integer, the seconds since 1970
	TypeDuration FieldType = "duration" // a string such as "15s", or a number of seconds
	TypeObject   FieldType = "object"
	TypeList     FieldType = "list"  // an array
	TypeMap      FieldType = "map"   // an object with names of the user's own
	TypeFurther  FieldType = "extra" // an object with further parameters of Stripe
)

var fieldTypes = map[kind]FieldType{
	kindText: TypeString, kindInteger: TypeInteger, kindNumber: TypeNumber, kindBool: TypeBoolean,
	kindTime: TypeTime, kindDuration: TypeDuration, kindObject: TypeObject, kindList: TypeList,
	kindMap: TypeMap, kindExtra: TypeFurther,
}

// Describe returns the form of an action or a trigger. If there is none of that name,
// it returns ErrUnknownName.
func Describe(name string) (*Form, error) {
	if a, ok := built().actionNames[name]; ok {
		return &Form{Name: name, Title: a.Title, Description: a.Description, Fields: formFields(a.input)}, nil
	}
	if t, ok := built().triggerNames[name]; ok {
		return &Form{Name: name, Title: t.Title, Description: t.Description, Fields: formFields(t.config)}, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownName, name)
}

func formFields(s *shape) []Field {
	var all []Field
	for _, f := range s.fields {
		field := formValue(f.shape)
		field.Name, field.Title, field.Description = f.name, title(f.name), f.note.text
		field.Required, field.Unit = f.required, f.note.unit
		if f.note.closed {
			field.Enum = slices.Clone(f.note.values)
		} else {
			field.Examples = slices.Clone(f.note.values)
		}
		if f.note.fallback != nil {
			field.Default = new(*f.note.fallback)
		}
		all = append(all, field)
	}
	return all
}

func formValue(s *shape) Field {
	field := Field{Type: fieldTypes[s.kind]}
	switch s.kind {
	case kindObject:
		field.Fields = formFields(s)
	case kindList, kindMap:
		items := formValue(s.elem)
		field.Items = &items
	}
	return field
}
