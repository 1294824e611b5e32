//! Folding and order of weights, on numbers small enough to follow by hand.

use super::*;

#[test]
fn constants_after_one_another_become_one() {
    let mut after = Affine { scale: vec![1.0], offset: vec![0.0] };
    // Upwards from the output: first what comes last.
    after.precede(&[1.0], &[10.0, 20.0]).expect("an offset for each channel");
    after.precede(&[2.0, 3.0], &[0.0]).expect("a factor for each channel");
    after.precede(&[1.0], &[5.0]).expect("an offset for all");
    assert_eq!(after.scale, [2.0, 3.0]);
    assert_eq!(after.offset, [2.0 * 5.0 + 10.0, 3.0 * 5.0 + 20.0]);
    assert!(after.precede(&[1.0, 2.0, 3.0], &[0.0]).is_err(), "three factors for two channels");
}

#[test]
fn weights_are_turned_and_chosen() {
    // One row, one column, two inputs, three outputs.
    let weights = Weights { shape: vec![1, 1, 2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
    let kernel = Kernel::new(&weights, true).expect("a kernel");
    let after = Affine { scale: vec![1.0, 10.0, 100.0], offset: vec![7.0, 8.0, 9.0] };
    let (values, bias) = kernel.folded(&weights, &[0, 2], &after).expect("channels that are there");
    assert_eq!(values, [1.0, 4.0, 300.0, 600.0]);
    assert_eq!(bias, [7.0, 9.0]);
    assert!(kernel.folded(&weights, &[3], &after).is_err());
}

#[test]
fn depthwise_weights_have_one_input_each() {
    // Two rows, two columns, two channels.
    let values = (0..8).map(|value| value as f32).collect();
    let weights = Weights { shape: vec![2, 2, 2, 1], values };
    let kernel = Kernel::new(&weights, false).expect("a kernel");
    let after = Affine { scale: vec![1.0], offset: vec![0.0] };
    let (values, _) = kernel.folded(&weights, &[0, 1], &after).expect("channels that are there");
    assert_eq!(values, [0.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0, 7.0]);
    assert_eq!((kernel.groups, kernel.inputs), (2, 1));
}
