// Package stores tests sqlstore and natsstore with real databases. It is a module of
// its own, so that the two need no driver and no server.
package stores
