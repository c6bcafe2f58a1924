package stripesql_test

// plainTables returns the tables as the package documents them, with their
// columns in order.
func plainTables() []plainTable {
	const address = "address_city address_country address_line1 address_line2 address_postal_code address_state"
	const shipping = `text: shipping_name shipping_phone
		text: shipping_address_city shipping_address_country shipping_address_line1
		text: shipping_address_line2 shipping_address_postal_code shipping_address_state
		text: shipping_carrier shipping_tracking_number
		`
	const head = `text: id
		time: created
		unix: created_unix
		`
	return []plainTable{
		{"charges", "/v1/charges", columnsOf(head + `int: amount amount_captured amount_refunded application_fee_amount
			text: balance_transaction
			text: billing_details_address_city billing_details_address_country billing_details_address_line1
			text: billing_details_address_line2 billing_details_address_postal_code billing_details_address_state
			text: billing_details_email billing_details_name billing_details_phone
			bool: captured
			text: currency customer description
			bool: disputed
			text: dispute failure_code failure_message fraud_details_stripe_report fraud_details_user_report invoice
			bool: livemode
			json: metadata
			text: on_behalf_of order
			text: outcome_network_status outcome_reason outcome_risk_level outcome_seller_message outcome_type
			bool: paid
			text: payment_intent payment_method payment_method_details_type
			text: payment_method_details_card_brand payment_method_details_card_country
			int: payment_method_details_card_exp_month payment_method_details_card_exp_year
			text: payment_method_details_card_funding payment_method_details_card_last4
			text: receipt_email receipt_number receipt_url
			bool: refunded
			` + shipping + `text: statement_descriptor statement_descriptor_suffix status transfer_group`)},
		{"customers", "/v1/customers", columnsOf(head + `int: balance
			text: ` + address + ` business_name currency customer_account default_source
			bool: delinquent
			text: description discount_id discount_coupon discount_source_coupon discount_source_type
			time: discount_start
			unix: discount_start_unix
			time: discount_end
			unix: discount_end_unix
			text: email individual_name invoice_prefix
			bool: livemode
			json: metadata
			text: name phone
			` + shipping + `text: tax_exempt`)},
		{"products", "/v1/products", columnsOf(head + `bool: active
			json: attributes
			text: caption
			json: deactivate_on
			text: default_price description
			json: images
			bool: livemode
			json: marketing_features metadata
			text: name
			real: package_dimensions_height package_dimensions_length package_dimensions_weight package_dimensions_width
			bool: shippable
			text: statement_descriptor tax_code type unit_label
			time: updated
			unix: updated_unix
			text: url`)},
		{"refunds", "/v1/refunds", columnsOf(head + `int: amount
			text: balance_transaction charge currency customer description
			text: failure_balance_transaction failure_reason instructions_email
			json: metadata
			text: payment_intent pending_reason reason receipt_number status`)},
		{"invoice_items", "/v1/invoiceitems", columnsOf(head + `int: amount
			text: currency customer customer_account
			time: date
			unix: date_unix
			text: description
			bool: discountable
			json: discounts
			text: invoice
			bool: livemode
			json: metadata
			int: net_amount
			text: parent_type parent_subscription_details_subscription parent_subscription_details_subscription_item
			time: period_start
			unix: period_start_unix
			time: period_end
			unix: period_end_unix
			text: plan price
			text: pricing_type pricing_price_details_price pricing_price_details_product pricing_unit_amount_decimal
			bool: proration
			int: quantity
			text: quantity_decimal subscription subscription_item
			int: unit_amount
			text: unit_amount_decimal`)},
		{"orders", "/v1/orders", columnsOf(head + `int: amount amount_returned
			text: application
			int: application_fee
			text: charge currency customer email external_coupon_code
			json: items
			bool: livemode
			json: metadata returns
			text: selected_shipping_method
			` + shipping + `json: shipping_methods
			text: status
			time: status_transitions_canceled
			unix: status_transitions_canceled_unix
			time: status_transitions_fulfiled
			unix: status_transitions_fulfiled_unix
			time: status_transitions_paid
			unix: status_transitions_paid_unix
			time: status_transitions_returned
			unix: status_transitions_returned_unix
			time: updated
			unix: updated_unix
			text: upstream_id`)},
	}
}
