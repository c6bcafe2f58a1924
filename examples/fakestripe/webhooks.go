package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"

	"github.com/stripekit/stripekit/stripetest"
)

// addWebhooks lets the fake send webhooks, if the flag says so.
func (cfg *config) addWebhooks(to string) error {
	transport := &http.Transport{DisableKeepAlives: true} // so that nothing is left open at the end
	switch to {
	case "off":
		return nil
	case "loopback":
		transport.DialContext = (&net.Dialer{Control: refuseOthers}).DialContext
	case "anywhere":
		transport.Proxy = http.ProxyFromEnvironment
	default:
		return fmt.Errorf("-webhooks is off, loopback or anywhere, and not %q", to)
	}
	cfg.options = append(cfg.options, stripetest.WithWebhookClient(&http.Client{Transport: transport}))
	return nil
}

// refuseOthers refuses to connect to another machine. It sees the address that a
// name has been resolved to.
func refuseOthers(_, address string, _ syscall.RawConn) error {
	peer, err := netip.ParseAddrPort(address)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return errors.New("webhooks are for this machine only; -webhooks anywhere sends others")
	}
	return nil
}
