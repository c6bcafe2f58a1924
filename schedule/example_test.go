package schedule_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stripekit/stripekit/schedule"
)

func ExampleSchedule_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	hourly := schedule.Schedule{
		Every:  time.Millisecond, // 15 minutes by default
		AtOnce: true,
		Observe: func(run schedule.Run) {
			fmt.Println(run.Number, run.Err)
			if run.Number == 3 {
				cancel()
			}
		},
	}
	runs := 0
	err := hourly.Run(ctx, func(context.Context) error {
		if runs++; runs == 2 {
			panic("no such table")
		}
		return nil
	})
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// 2 panic: no such table
	// 3 <nil>
	// <nil>
}
