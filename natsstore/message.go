package natsstore

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stripekit/stripekit"
)

// The headers of a published event.
const (
	// FlowHeader is the flow: Poller.Key, which has the mode, the connection, the
	// account, the list and the name.
	FlowHeader = "Stripekit-Flow"
	// IDHeader is Event.ID, percent-encoded as a path segment. The ids of Stripe
	// remain as they are.
	IDHeader = "Stripekit-Id"
	// CreatedHeader is Event.Created, in seconds since 1970. It is absent if the object
	// has no such field.
	CreatedHeader = "Stripekit-Created"
	// LateHeader is "true" if Event.Late is set, and absent otherwise.
	LateHeader = "Stripekit-Late"
)

// Message returns the message of an event, as Publish sends it. It is for programs that
// publish in a handler of their own:
//
//	err := poller.Run(ctx, func(ctx context.Context, e stripekit.Event[stripekit.Charge]) error {
//		m, err := natsstore.Message("stripe.charges", poller.Key(), e)
//		if err == nil {
//			_, err = js.PublishMsg(ctx, m)
//		}
//		return err
//	})
//
// The payload is Event.Raw: the object as Stripe has sent it, so that a consumer reads
// what Stripe documents. What is known beside it is in the headers: FlowHeader,
// IDHeader, CreatedHeader and LateHeader.
//
// The header Nats-Msg-Id has the flow, the id and the created second, and not the
// attempt. So the server drops an event that is published again within the duplicate
// window of the stream.
//
// flow must be printable ASCII without spaces, as Poller.Key is. The subject must be
// one to which a message can be sent, without wildcards.
func Message[T any](subject, flow string, e stripekit.Event[T]) (*nats.Msg, error) {
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	if flow == "" || strings.ContainsFunc(flow, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fmt.Errorf("natsstore: the flow %.100q is not printable ASCII without spaces", flow)
	}
	return message(subject, flow, e), nil
}

func message[T any](subject, flow string, e stripekit.Event[T]) *nats.Msg {
	id := url.PathEscape(e.ID) // it has no slash then
	m := &nats.Msg{Subject: subject, Data: e.Raw, Header: nats.Header{
		FlowHeader: {flow}, IDHeader: {id}, "Content-Type": {"application/json"},
	}}
	created := ""
	if !e.Created.IsZero() {
		created = strconv.FormatInt(e.Created.Unix(), 10)
		m.Header.Set(CreatedHeader, created)
	}
	if e.Late {
		m.Header.Set(LateHeader, "true")
	}
	m.Header.Set(jetstream.MsgIDHeader, flow+"/"+id+"/"+created)
	return m
}

// checkSubject refuses a subject to which no message can be sent.
func checkSubject(subject string) error {
	if subject == "" {
		return errors.New("natsstore: the subject is empty")
	}
	for token := range strings.SplitSeq(subject, ".") {
		switch {
		case token == "":
			return fmt.Errorf("natsstore: the subject %.100q has an empty part", subject)
		case strings.ContainsAny(token, "*>"):
			return fmt.Errorf("natsstore: the subject %.100q has a wildcard", subject)
		case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == '\x7f' || r == '\ufffd' }):
			return fmt.Errorf("natsstore: the subject %.100q has a space, a control character, or is not UTF-8", subject)
		}
	}
	return nil
}
