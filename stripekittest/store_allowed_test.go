package stripekittest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

// shuffledStore has revisions in no order, of up to 64 bits.
func shuffledStore(s *hookedStore) {
	const factor = 0x9e3779b97f4a7c15 // it is odd, so that no product is another's
	inverse := uint64(factor)         // correct in its last 3 bits; each step doubles them
	for range 5 {
		inverse *= 2 - factor*inverse
	}
	s.mapRevisions(func(r uint64) uint64 { return r * factor }, func(r uint64) uint64 { return r * inverse })
}

// emptyStore loads empty data as a slice that is not nil.
func emptyStore(s *hookedStore) {
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		data, revision, err := s.MemoryStore.Load(ctx, key)
		if revision != 0 && data == nil {
			data = []byte{}
		}
		return data, revision, err
	}
}

// guard has each operation refused if check returns an error.
func (s *hookedStore) guard(check func(ctx context.Context, key string) error) {
	s.onLoad = func(ctx context.Context, key string) ([]byte, uint64, error) {
		if err := check(ctx, key); err != nil {
			return nil, 0, err
		}
		return s.MemoryStore.Load(ctx, key)
	}
	s.onSave = func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		if err := check(ctx, key); err != nil {
			return 0, err
		}
		return s.MemoryStore.Save(ctx, key, data, revision)
	}
	s.onDelete = func(ctx context.Context, key string) error {
		if err := check(ctx, key); err != nil {
			return err
		}
		return s.MemoryStore.Delete(ctx, key)
	}
}

// pickyStore refuses keys that no Poller has.
func pickyStore(s *hookedStore) {
	s.guard(func(_ context.Context, key string) error {
		strange := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"\\*?<>|", r) }
		if key == "" || len(key) > 250 || strings.ContainsFunc(key, strange) {
			return errors.New("the key is refused")
		}
		return nil
	})
}

// strictStore does nothing in a context that is over.
func strictStore(s *hookedStore) {
	s.guard(func(ctx context.Context, _ string) error {
		if ctx.Err() != nil {
			return fmt.Errorf("nothing done: %w", ctx.Err())
		}
		return nil
	})
}

// lateStore carries out cancelled saves after they have returned an error.
func lateStore(s *hookedStore) {
	var late atomic.Int64
	s.whenCancelled(func(ctx context.Context, key string, data []byte, revision uint64) (uint64, error) {
		time.AfterFunc(time.Duration(late.Add(1)%4)*time.Millisecond/2, func() {
			_, _ = s.MemoryStore.Save(context.WithoutCancel(ctx), key, data, revision)
		})
		return 0, ctx.Err()
	})
}
